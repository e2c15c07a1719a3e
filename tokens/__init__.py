"""The Tokens module (mod_tokens)."""
