"""What sellers are told, before and after."""
