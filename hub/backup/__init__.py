"""Backups of the whole database: made by command or clock, kept somewhere, and how they come back.

`last()` says how old the last one is.
"""

from hub.backup.history import Last as Last
from hub.backup.history import last as last
