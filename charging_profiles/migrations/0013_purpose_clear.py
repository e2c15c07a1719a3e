"""The hub clears what a former FSP has left."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("ocpi_charging_profiles", "0012_to_follow"),
    ]

    operations = [
        migrations.AlterField(
            model_name="profilecommand",
            name="purpose",
            field=models.CharField(
                blank=True,
                choices=[
                    ("ASK", "what is in force is asked"),
                    ("AGAIN", "what was overtaken is sent again"),
                    ("RELEASE", "the session is released"),
                    ("CLEAR", "what a former FSP has left is cleared"),
                ],
                db_default="",
                default="",
                max_length=7,
            ),
        ),
    ]
