"""Short parties that work: `HUB_VERSIONS_URL=... TOKEN_A=... python -m examples.emsp`."""
