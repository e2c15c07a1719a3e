"""An OCPI party as a library, and the party check; docs/party.md says how it is used."""
