"""A rewritten callback URL knows of which exchange it is a part."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("hub", "0004_shared_bodies")]
    operations = [
        migrations.AddField(
            "forwardedurl",
            "correlation_id",
            models.CharField(blank=True, default="", max_length=255),
        ),
    ]
