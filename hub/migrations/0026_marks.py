"""What is owed of a state is a mark for each object; messages have their bodies to themselves.

Waiting pushes of objects become marks, which have the object read when it is sent.
"""

from typing import Any
from urllib.parse import parse_qs, unquote

import django.contrib.postgres.fields
import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models

_PART_OF = "\x1f"
_OBJECTS = ("locations", "tariffs", "tokens")
# The outbox is a queue: its rows come and go all day, and are raised in their place.
_OFTEN = (
    "fillfactor = 70, autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 5000, "
    "autovacuum_vacuum_cost_delay = 0"
)


def mark(apps: Any, schema_editor: Any) -> None:
    """Each waiting push of an object, and each waiting ClientInfo."""
    deliveries = apps.get_model("hub", "Delivery")
    stale_copies = apps.get_model("hub", "StaleCopy")
    waiting = deliveries.objects.filter(state="WAITING", interface_role="RECEIVER")
    for row in waiting.filter(module__in=(*_OBJECTS, "hubclientinfo")).order_by("id").iterator():
        path, _, query = row.path.partition("?")
        if row.module == "hubclientinfo":
            _, party, object_id = row.ordering_key.split(":")
            owner, to, parts, variant = party, "", [], ""
        else:
            country_code, party_id, object_id, *parts = map(unquote, path.upper().split("/"))
            owner = f"{country_code}-{party_id}"
            to = f"{row.to_country_code}-{row.to_party_id}".upper()
            types = parse_qs(query).get("type", ["RFID"])
            variant = types[0].upper() if row.module == "tokens" else ""
        stale_copies.objects.update_or_create(
            receiver_id=row.receiver_id,
            party=to,
            module=row.module,
            owner=owner,
            object_id=object_id,
            variant=variant,
            part=_PART_OF.join(parts),
            defaults={
                "spelling": path,
                "is_deleted": row.method == "DELETE",
                "correlation_id": row.correlation_id,
                "first_at": row.created_at,
            },
        )
        row.delete()


class Migration(migrations.Migration):
    dependencies = [
        ("hub", "0025_still_alive_checks"),
    ]

    operations = [
        migrations.CreateModel(
            name="StaleCopy",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("party", models.CharField(blank=True, max_length=6)),
                ("module", models.CharField(max_length=16)),
                ("owner", models.CharField(max_length=6)),
                ("object_id", models.CharField(max_length=39)),
                ("variant", models.CharField(blank=True, max_length=12)),
                ("part", models.CharField(blank=True, max_length=80)),
                ("spelling", models.CharField(blank=True, max_length=600)),
                ("patch", models.BinaryField(null=True)),
                ("is_deleted", models.BooleanField(default=False)),
                ("held", models.CharField(blank=True, max_length=10)),
                ("priority", models.PositiveSmallIntegerField(default=1)),
                ("raised", models.BigIntegerField(default=1)),
                ("correlation_id", models.CharField(max_length=255)),
                (
                    "merged",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=255), default=list, size=None
                    ),
                ),
                ("first_at", models.DateTimeField(default=django.utils.timezone.now)),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("WAITING", "waiting"),
                            ("REFUSED", "refused by the receiver, until it changes again"),
                        ],
                        default="WAITING",
                        max_length=7,
                    ),
                ),
                ("outcome", models.CharField(blank=True, max_length=300)),
            ],
            options={
                "verbose_name_plural": "stale copies",
            },
        ),
        migrations.AddField(
            model_name="stalecopy",
            name="receiver",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="stale_copies",
                to="hub.platform",
            ),
        ),
        migrations.AddIndex(
            model_name="stalecopy",
            index=models.Index(
                condition=models.Q(("state", "WAITING")),
                fields=["receiver", "module", "priority", "id"],
                name="stale_copy_waiting",
            ),
        ),
        migrations.AddConstraint(
            model_name="stalecopy",
            constraint=models.UniqueConstraint(
                fields=("receiver", "party", "module", "owner", "object_id", "variant", "part"),
                name="stale_copy_once",
            ),
        ),
        migrations.RunSQL(f"ALTER TABLE hub_stalecopy SET ({_OFTEN})", migrations.RunSQL.noop),
        migrations.RunPython(mark, migrations.RunPython.noop),
        migrations.RunSQL(
            "UPDATE hub_delivery SET body = shared.body FROM hub_messagebody AS shared "
            "WHERE shared.id = hub_delivery.shared_id",
            migrations.RunSQL.noop,
        ),
        migrations.RemoveField(
            model_name="delivery",
            name="shared",
        ),
        migrations.RemoveIndex(
            model_name="delivery",
            name="delivery_waiting",
        ),
        migrations.RenameField(
            model_name="replay",
            old_name="objects_sent",
            new_name="objects_marked",
        ),
        migrations.RemoveField(
            model_name="delivery",
            name="not_before",
        ),
        migrations.AddField(
            model_name="platformhealth",
            name="lacks_since",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="replay",
            name="horizon",
            field=models.BigIntegerField(null=True),
        ),
        migrations.AddField(
            model_name="replay",
            name="since",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="replay",
            name="version",
            field=models.BigIntegerField(null=True),
        ),
        migrations.AlterField(
            model_name="delivery",
            name="state",
            field=models.CharField(
                choices=[
                    ("WAITING", "waiting"),
                    ("DELIVERED", "delivered"),
                    ("REFUSED", "refused by the receiver"),
                    ("FAILED", "given up: receiver offline"),
                    ("DROPPED", "dropped: there is nobody to send it to"),
                ],
                default="WAITING",
                max_length=9,
            ),
        ),
        migrations.AddIndex(
            model_name="delivery",
            index=models.Index(
                condition=models.Q(("state", "WAITING")),
                fields=["receiver", "module", "id"],
                name="delivery_waiting",
            ),
        ),
        migrations.DeleteModel(
            name="MessageBody",
        ),
    ]
