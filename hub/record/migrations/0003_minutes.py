"""Messages by the minute, for the overview and for alerts."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("record", "0002_strangers")]
    operations = [
        migrations.CreateModel(
            name="Minute",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("at", models.DateTimeField()),
                ("platform_id", models.BigIntegerField()),
                ("direction", models.CharField(max_length=3)),
                ("module", models.CharField(max_length=20)),
                ("number", models.BigIntegerField()),
                ("failed", models.BigIntegerField()),
                ("seconds", models.FloatField()),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("at", "platform_id", "direction", "module"), name="minute_once"
                    )
                ],
            },
        ),
    ]
