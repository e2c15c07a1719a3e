"""What lists and maps need of a Location: a row beside it, read once a change."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("ocpi_locations", "0008_ocpi_version"),
    ]

    operations = [
        migrations.CreateModel(
            name="Outline",
            fields=[
                (
                    "location",
                    models.OneToOneField(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        primary_key=True,
                        related_name="outline",
                        serialize=False,
                        to="ocpi_locations.location",
                    ),
                ),
                ("received_at", models.DateTimeField()),
                ("latitude", models.FloatField(null=True)),
                ("longitude", models.FloatField(null=True)),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("FREE", "one is available"),
                            ("IN_USE", "all in use"),
                            ("BROKEN", "out of order"),
                            ("UNKNOWN", "not known"),
                        ],
                        max_length=7,
                    ),
                ),
                ("evses", models.PositiveIntegerField()),
                ("lacks_opening_times", models.BooleanField()),
                ("lacks_energy_mix", models.BooleanField()),
                ("lacks_evses", models.BooleanField()),
                ("lacks_parking_restrictions", models.BooleanField()),
                ("lacks_power", models.BooleanField()),
                ("lacks_tariff_ids", models.BooleanField()),
            ],
        ),
    ]
