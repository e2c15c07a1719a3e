"""A mark that its owner has told itself ends when no call for it is open; what was told lately."""

import django.contrib.postgres.fields
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("hub", "0036_negotiated_version"),
    ]

    operations = [
        migrations.CreateModel(
            name="ToldLately",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("at", models.DateTimeField(db_index=True)),
                (
                    "copies",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.BigIntegerField(), size=None
                    ),
                ),
            ],
        ),
        migrations.RemoveIndex(
            model_name="stalecopy",
            name="stale_copy_waiting",
        ),
        migrations.AlterField(
            model_name="stalecopy",
            name="state",
            field=models.CharField(
                choices=[
                    ("WAITING", "waiting"),
                    ("TAKEN", "told by its owner itself; told once more after a call that is open"),
                    ("REFUSED", "refused by the receiver, until it changes again"),
                ],
                default="WAITING",
                max_length=7,
            ),
        ),
        migrations.AddIndex(
            model_name="stalecopy",
            index=models.Index(
                condition=models.Q(("state__in", ["WAITING", "TAKEN"])),
                fields=["receiver", "module", "priority", "id"],
                name="stale_copy_waiting",
            ),
        ),
        # Its rows come and go all day.
        migrations.RunSQL(
            "ALTER TABLE hub_toldlately SET (autovacuum_vacuum_scale_factor = 0.01, "
            "autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0)",
            migrations.RunSQL.noop,
        ),
    ]
