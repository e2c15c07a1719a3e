"""The Commands module (mod_commands)."""
