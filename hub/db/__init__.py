"""The database beside the ORM: statements, threads, leases, notifications, secrets at rest."""
