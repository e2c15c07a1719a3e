"""A CPO's sites: what hangs behind one connection to the grid, and its limit over time."""
