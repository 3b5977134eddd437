"""What finance pulls."""
