"""Parties of 40 lines that work: `HUB_VERSIONS_URL=... TOKEN_A=... python -m examples.emsp`."""
