"""How often a party has failed a session one time after the other: it is left out longer."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("flex_switching", "0001_switches")]

    operations = [
        migrations.AddField(
            model_name="fspfailure",
            name="times",
            field=models.PositiveSmallIntegerField(db_default=1, default=1),
        ),
    ]
