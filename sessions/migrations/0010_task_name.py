"""The turn by the clock that forgets what was left on its way is named after this module."""

from django.db import migrations

RENAMED = """
    UPDATE hub_timer SET task = '{new}'
    WHERE task = '{old}' AND NOT EXISTS (SELECT FROM hub_timer WHERE task = '{new}')
"""
NAMES = {"old": "flex.forget_left_behind", "new": "sessions.forget_left_behind"}
BACK = {"old": NAMES["new"], "new": NAMES["old"]}


class Migration(migrations.Migration):
    dependencies = [("ocpi_sessions", "0009_ocpi_version"), ("hub", "0034_task_names")]

    operations = [migrations.RunSQL(RENAMED.format(**NAMES), RENAMED.format(**BACK))]
