"""Small OCPI parties over real HTTP: the demo, the test counterparties, a new party's try-out."""
