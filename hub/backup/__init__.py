"""Backups of the whole database, and how they come back."""
