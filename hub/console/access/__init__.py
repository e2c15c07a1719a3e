"""Who may see and do what at the console and in the admin API: accounts, roles, scope."""
