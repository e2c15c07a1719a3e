"""What CDRs bill beside what their Tariffs say."""

import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("ocpi_cdrs", "0009_ocpi_version"),
    ]

    operations = [
        migrations.CreateModel(
            name="CdrCheck",
            fields=[
                (
                    "cdr",
                    models.OneToOneField(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        primary_key=True,
                        related_name="priced",
                        serialize=False,
                        to="ocpi_cdrs.cdr",
                    ),
                ),
                (
                    "result",
                    models.CharField(
                        choices=[
                            ("AS_PRICED", "as its Tariffs say"),
                            ("DIFFERENT", "differs"),
                            ("UNCLEAR", "cannot be said"),
                        ],
                        max_length=9,
                    ),
                ),
                ("reason", models.CharField(blank=True, max_length=255)),
                ("differences", models.JSONField(default=list)),
                (
                    "checked_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                ),
            ],
            options={
                "verbose_name": "check of a CDR",
                "indexes": [
                    models.Index(
                        condition=models.Q(("result", "DIFFERENT")),
                        fields=["cdr"],
                        name="cdr_check_different",
                    )
                ],
            },
        ),
        migrations.RunSQL(
            "ALTER TABLE ocpi_cdrs_cdrcheck ADD CONSTRAINT cdr_check_of_cdr "
            "FOREIGN KEY (cdr_id) REFERENCES ocpi_cdrs_cdr (id) ON DELETE CASCADE",
            "ALTER TABLE ocpi_cdrs_cdrcheck DROP CONSTRAINT cdr_check_of_cdr",
        ),
    ]
