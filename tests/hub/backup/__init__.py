"""Backups by the clock, and where they go."""
