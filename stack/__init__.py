"""Starts and supervises everything the hub needs on one machine; knows nothing of OCPI."""
