"""What a new hub watches without anybody having asked; it tells nobody before there is a target."""

from typing import Any

from django.db import migrations

RULES = (
    ("Party OFFLINE", "OFFLINE", 10.0, "WARNING"),
    ("Messages that fail", "ERRORS", 25.0, "WARNING"),
    ("Backlog", "BACKLOG", 10.0, "WARNING"),
    ("Failed handshake", "HANDSHAKE", 60.0, "WARNING"),
    ("Certificate ends", "CERTIFICATE", 21.0, "WARNING"),
    ("Workers and turns", "WORKERS", 120.0, "CRITICAL"),
    ("Disk", "DISK", 90.0, "CRITICAL"),
    ("Backup too old", "BACKUP", 0.0, "CRITICAL"),
    ("Effect of profiles", "EFFECT", 50.0, "WARNING"),
)


def add(apps: Any, schema_editor: Any) -> None:
    rules = apps.get_model("alerts", "Rule")
    for name, kind, limit, severity in RULES:
        rules.objects.get_or_create(
            name=name, defaults={"kind": kind, "limit": limit, "severity": severity}
        )


class Migration(migrations.Migration):
    dependencies = [("alerts", "0001_alerts")]
    operations = [migrations.RunPython(add, migrations.RunPython.noop)]
