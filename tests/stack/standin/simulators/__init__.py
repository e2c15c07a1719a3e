"""Stands in for the simulated parties."""
