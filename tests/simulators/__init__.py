"""Tests of the simulators: they speak OCPI with each other, without a hub."""
