"""Tests of the reference FSP's planner: no hub, no network."""
