"""The OCPI 2.2.1 vocabulary: no database, no Django; for hub, parties and tests."""
