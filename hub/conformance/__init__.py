"""Checking a connected party against the text: a script of calls, a finding for each rule."""
