"""What one platform may take of a process at a time: threads, memory, places at receivers."""
