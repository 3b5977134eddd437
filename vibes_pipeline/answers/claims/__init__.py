"""Claims as those who decide see them: the queue, and what upholding a claim would undo."""
