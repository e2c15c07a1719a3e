"""The parts of the console's first page: each asks a few small questions, whatever there is."""
