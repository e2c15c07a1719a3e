"""Which object a message is about, for the search; what the old code writes has none."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("record", "0003_minutes")]
    operations = [
        migrations.AddField("message", "object_id", models.CharField(max_length=64, db_default="")),
        migrations.AddIndex(
            "message",
            models.Index(
                fields=["object_id", "at", "id"],
                name="message_by_object",
                condition=~models.Q(object_id=""),
            ),
        ),
    ]
