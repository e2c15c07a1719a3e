"""Keeping up with parties: pulling the lists of some, marking what others missed."""
