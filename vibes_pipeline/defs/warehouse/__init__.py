"""What comes in: the order warehouse as of the slot, its bad rows set aside."""
