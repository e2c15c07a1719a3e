"""Requests without a known credentials token: a row for each address and minute."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("record", "0001_initial")]
    operations = [
        migrations.AddField("message", "address", models.CharField(max_length=49, db_default="")),
        migrations.AddField("message", "times", models.IntegerField(db_default=1)),
        migrations.AddIndex(
            "message",
            models.Index(
                fields=["at", "address"],
                name="message_by_address",
                condition=~models.Q(address=""),
            ),
        ),
    ]
