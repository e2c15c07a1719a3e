"""A stored document knows in which version of OCPI it came."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("flex", "0005_sent_by_the_cpo"),
    ]

    operations = [
        migrations.AddField(
            model_name="preferencecopy",
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
