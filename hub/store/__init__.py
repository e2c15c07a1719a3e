"""Objects that the hub keeps for everybody: pushed, listed, broadcast, left out."""
