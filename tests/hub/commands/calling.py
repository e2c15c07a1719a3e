"""Running a management command as a person would, and reading what it printed."""

from io import StringIO
from typing import Any

from django.core.management import call_command


def run(*arguments: str, stderr: StringIO | None = None, **options: Any) -> str:
    """Standard output of the command."""
    told = StringIO()
    call_command(*arguments, stdout=told, stderr=stderr or StringIO(), **options)
    return told.getvalue()
