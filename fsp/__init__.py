"""The reference FSP: plans charging, and says when a plan is worth a push; docs/flexibility.md."""
