"""The message record: notes in Valkey, copied into a table, counted and searched."""
