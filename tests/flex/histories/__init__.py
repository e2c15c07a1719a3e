"""Random histories of FSPs, switches, answers and losses, and what the EV was offered in them."""
