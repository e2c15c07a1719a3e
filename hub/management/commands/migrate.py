"""`manage.py migrate`: Django's own, which waits as long as it takes (docs/operations.md)."""

from typing import Any

from django.core.management.commands import migrate
from django.db import connection


class Command(migrate.Command):
    """Without the timeouts of the hub's other statements: an index of many rows takes long."""

    def handle(self, *args: Any, **options: Any) -> str | None:
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = 0")
            cursor.execute("SET statement_timeout = 0")
        return super().handle(*args, **options)
