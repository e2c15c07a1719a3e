"""manage.py: what a person can mend is told in one line, before anything is written.

A command that is run beside a stopped hub, or with another data folder than the hub's, says so.
"""

import os
import sys
from collections.abc import Sequence

import psycopg
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management import execute_from_command_line
from django.db.utils import InterfaceError, OperationalError

from hub.startup.environment import NEW_KEY


def run(arguments: Sequence[str]) -> int:
    """The exit code; Django ends the process itself where a command has failed."""
    if list(arguments[1:2]) == ["migrate"]:
        os.environ.setdefault(NEW_KEY, "yes")
    try:
        settings.INSTALLED_APPS  # noqa: B018 - has the settings read
        execute_from_command_line(list(arguments))
    except ImproperlyConfigured as error:
        return _told(str(error))
    except (OperationalError, InterfaceError, psycopg.OperationalError) as error:
        if not _is_away(error):
            raise
        database = settings.DATABASES["default"]
        return _told(
            f"the database at {database['HOST']}:{database['PORT'] or 5432} does not answer. "
            f"Is the hub running (script/server), and is {settings.FLEXHUB_DATA} its data folder "
            f"(FLEXHUB_DATA)? {' '.join(str(error).split())}"
        )
    return 0


def _is_away(error: Exception) -> bool:
    """No connection was made, or it is gone: a statement that the server refused has a code."""
    cause = error.__cause__ if isinstance(error.__cause__, psycopg.Error) else error
    code = getattr(cause, "sqlstate", None)
    # 28: it is not our database that listens there now; 3D: it does not have ours.
    return code is None or code[:2] in {"08", "28", "3D", "57"}


def _told(why: str) -> int:
    sys.stderr.write(f"flexhub: {why}\n")
    return 1
