"""What operators and monitoring ask: metrics, health, the trace of an exchange."""
