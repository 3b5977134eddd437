"""Late orders, every day: what is overdue, proposed in the morning, settled at night."""
