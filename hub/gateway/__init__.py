"""The path that every OCPI message takes, from the connection to the answer."""
