"""Who may act as flexibility provider, and for which session (SCALE D2.3, chapter 11)."""
