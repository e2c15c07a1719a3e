"""A stored document knows in which version of OCPI it came."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("ocpi_cdrs", "0008_lists_by_party"),
    ]

    operations = [
        migrations.AddField(
            model_name="cdr",
            name="ocpi_version",
            field=models.CharField(
                default="2.2.1",
                db_default="2.2.1",
                editable=False,
                max_length=8,
                verbose_name="OCPI version",
            ),
        ),
    ]
