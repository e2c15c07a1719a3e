"""Platforms and messages know their version of OCPI."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("hub", "0034_task_names"),
    ]

    operations = [
        migrations.AddField(
            model_name="delivery",
            name="ocpi_version",
            field=models.CharField(
                default="2.2.1",
                db_default="2.2.1",
                editable=False,
                max_length=8,
                verbose_name="OCPI version",
            ),
        ),
        migrations.AddField(
            model_name="platform",
            name="ocpi_version",
            field=models.CharField(
                blank=True,
                default="",
                help_text="What its last handshake has settled on; empty before the first.",
                max_length=8,
                verbose_name="OCPI version",
            ),
        ),
    ]
