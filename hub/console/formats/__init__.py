"""How the console writes, apart from the language."""
