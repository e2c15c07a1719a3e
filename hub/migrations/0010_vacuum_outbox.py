"""The outbox is a queue: its rows come and go all day, and what is gone has to be cleared often."""

from django.db import migrations

_OFTEN = (
    "autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 5000, "
    "autovacuum_vacuum_cost_delay = 0"
)
_AS_EVER = (
    "autovacuum_vacuum_scale_factor, autovacuum_vacuum_threshold, autovacuum_vacuum_cost_delay"
)


class Migration(migrations.Migration):
    dependencies = [
        ("hub", "0009_replays"),
    ]

    operations = [
        migrations.RunSQL(
            f"ALTER TABLE {table} SET ({_OFTEN})", f"ALTER TABLE {table} RESET ({_AS_EVER})"
        )
        for table in ("hub_delivery", "hub_messagebody")
    ]
