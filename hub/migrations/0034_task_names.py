"""Tasks have names of their own: jobs that wait, and turns by the clock, are called so."""

from typing import Any

from django.db import migrations

NAMES = {
    "charging_profiles.tasks.sweep": "charging_profiles.end_overdue",
    "flex.tasks.forget_left_behind": "flex.forget_left_behind",
    "hub.conformance.check.run_queued": "conformance.run_check",
    "hub.conformance.check.sweep": "conformance.queue_waiting",
    "hub.pull.sweep": "pulls.queue_due",
    "hub.pull.take_turn": "pulls.take_turn",
    "hub.telling.advance": "sync.tell_pulled",
    "hub.replay.advance": "sync.mark_replays",
    "hub.record.drain.drain_messages": "record.copy_to_table",
    "hub.record.drain.make_partitions": "record.make_partitions",
    "hub.still_alive.check_quiet_platforms": "parties.check_quiet_platforms",
    "hub.still_alive.check_platform": "parties.check_platform",
    "hub.upkeep.clean_up": "keeping.clean_up",
    "hub.upkeep.keep_within_quota": "keeping.keep_within_quota",
    "hub.upkeep.recount": "keeping.recount",
}


def _rename(apps: Any, names: dict[str, str]) -> None:
    jobs, timers = apps.get_model("hub", "Job").objects, apps.get_model("hub", "Timer").objects
    for old, new in names.items():
        for row in jobs.filter(task=old):
            if jobs.filter(task=new, arguments=row.arguments).exists():
                row.delete()
            else:
                jobs.filter(pk=row.pk).update(task=new)
        if timers.filter(task=new).exists():
            timers.filter(task=old).delete()
        else:
            timers.filter(task=old).update(task=new)


def rename(apps: Any, schema_editor: Any) -> None:
    _rename(apps, NAMES)


def rename_back(apps: Any, schema_editor: Any) -> None:
    _rename(apps, {new: old for old, new in NAMES.items()})


class Migration(migrations.Migration):
    dependencies = [("hub", "0033_plain_help_texts")]

    operations = [migrations.RunPython(rename, rename_back)]
