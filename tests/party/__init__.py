"""The party library; most of it is also tried through the simulators, which stand on it."""
