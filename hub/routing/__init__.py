"""Who gets a message: the directory of parties, and the decision."""
