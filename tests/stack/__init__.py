"""Tests of the runner and its services, with real processes."""
