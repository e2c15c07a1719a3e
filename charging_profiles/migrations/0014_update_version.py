"""An update of an active profile knows the version of OCPI that it came in."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("ocpi_charging_profiles", "0013_purpose_clear"),
    ]

    operations = [
        migrations.AddField(
            model_name="profileupdate",
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
