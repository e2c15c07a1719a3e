"""Alerts: rules of an operator, what they find, and who is told of it (docs/decisions/0044)."""
