"""How platforms come, stay and go: credentials, versions, status, still-alive checks."""
