"""OCPI Sessions module (mod_sessions)."""
