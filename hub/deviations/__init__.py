"""Where what platforms send differs from the text: counted, shown, never in a message's way."""
