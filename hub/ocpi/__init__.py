"""The OCPI 2.2.1 vocabulary: no database, no Django; for hub, simulators and tests."""
