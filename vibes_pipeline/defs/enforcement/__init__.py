"""What is done on Saturday: evidence looked up again, alerted actions implemented."""
