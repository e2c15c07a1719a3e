"""The admin API: what the console does, for programs, below /admin-api/v1/ (decision 0046)."""
