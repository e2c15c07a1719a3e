"""Published OCPI libraries of others as parties of the hub, each in an environment of its own."""
