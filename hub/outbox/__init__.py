"""What the hub owes to others, written in the transaction of its cause."""
