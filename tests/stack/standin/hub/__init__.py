"""Stands in for the hub's project package."""
