"""Stands in for the hub's manage.py: answers migrate and first_operator like the real one."""

import json
import os
import sys
from pathlib import Path

import psycopg

seen = Path(os.environ["FLEXHUB_DATA"], "operator.seen")
with psycopg.connect(os.environ["DATABASE_URL"]) as database:
    if sys.argv[1] == "migrate":
        database.execute("CREATE TABLE IF NOT EXISTS kept (number int)")
        database.execute("INSERT INTO kept VALUES (1)")
    elif sys.argv[1] == "first_operator":
        created = not seen.exists()
        seen.touch()
        answer = {"created": created, "username": "operator", "password": "shown-once"}
        sys.stdout.write(json.dumps(answer if created else {"created": False}) + "\n")
