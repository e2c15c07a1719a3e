"""Whose object is it? (transport_and_format, Client Owned Object Push). Pure."""

from typing import Final

# What an aggregator or a national access point may tell of others.
AGGREGATED: Final = frozenset({"locations", "tariffs"})
