"""The OCPI vocabulary: no database, no Django; for hub, parties and tests."""
