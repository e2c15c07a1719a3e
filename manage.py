#!/usr/bin/env python
"""Django's command line: `python manage.py help` lists the hub's own commands."""

import os
import sys

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hub.settings")

from hub.startup.command_line import run

if __name__ == "__main__":
    sys.exit(run(sys.argv))
