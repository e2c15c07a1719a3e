"""What workers do by themselves, with no broker; `process.py` starts it."""
