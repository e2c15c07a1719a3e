"""`manage.py simulate cpo ...`: a simulated party, the same as `python -m simulators cpo ...`."""

import os
import sys
from typing import Any, NoReturn

from django.conf import settings
from django.core.management.base import BaseCommand


class Command(BaseCommand):
    help = "Run a simulated party: cpo, emsp, scsp, or demo for all three."

    def run_from_argv(self, argv: list[str]) -> NoReturn:
        """Hand every argument over, --help too: the simulators read their own command line."""
        self.handle(*argv[2:])

    def handle(self, *args: Any, **options: Any) -> NoReturn:
        """Become that process: signals and exit code are its own."""
        path = os.pathsep.join(
            filter(None, (str(settings.BASE_DIR), os.environ.get("PYTHONPATH", "")))
        )
        command = [sys.executable, "-m", "simulators", *args]
        os.execve(  # noqa: S606 - no shell; what the person typed
            sys.executable, command, {**os.environ, "PYTHONPATH": path}
        )
