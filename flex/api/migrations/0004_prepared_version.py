"""Preferences that wait for their session know the version of OCPI that they are written in."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("flex_api", "0003_wishes"),
    ]

    operations = [
        migrations.AddField(
            model_name="prepared",
            name="ocpi_version",
            field=models.CharField(
                db_default="2.2.1",
                default="2.2.1",
                editable=False,
                max_length=8,
                verbose_name="OCPI version",
            ),
        ),
    ]
