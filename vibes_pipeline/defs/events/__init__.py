"""What happened: the events that rules rest on, one row per item."""
