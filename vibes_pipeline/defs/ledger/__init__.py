"""What is recorded: the history that rules need, and the frozen cycle."""
