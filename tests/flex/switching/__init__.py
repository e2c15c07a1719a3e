"""Tests of switching."""
