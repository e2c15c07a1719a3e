"""What follows the end of a profile command, and the hub's own commands (SCALE D2.3, 11.4)."""
