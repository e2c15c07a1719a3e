"""The Tariffs module (mod_tariffs)."""
