"""What every process needs before it begins: environment, system checks, log lines."""
