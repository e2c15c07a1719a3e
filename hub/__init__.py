"""The hub: the project, and everything that is not one OCPI Functional Module."""
