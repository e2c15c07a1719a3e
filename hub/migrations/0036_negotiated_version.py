"""Who is registered has settled on the one version that there was."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("hub", "0035_ocpi_version")]

    operations = [
        migrations.RunSQL(
            "UPDATE hub_platform SET ocpi_version = '2.2.1' WHERE registered_at IS NOT NULL",
            migrations.RunSQL.noop,
        )
    ]
