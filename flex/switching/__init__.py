"""What happens around a change of FSP until it is verified (SCALE D2.3, 8.4 and 11.4)."""
