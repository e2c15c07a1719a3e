"""Calls to other platforms: addresses, limits, answers, and the URLs put in place of theirs."""
