"""The Locations module (mod_locations)."""
