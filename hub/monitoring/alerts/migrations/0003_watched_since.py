"""Since when a rule is looked at without a gap."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("alerts", "0002_default_rules")]
    operations = [
        migrations.AddField(
            model_name="rule",
            name="looked_at",
            field=models.DateTimeField(blank=True, editable=False, null=True),
        ),
        migrations.AddField(
            model_name="rule",
            name="watched_since",
            field=models.DateTimeField(blank=True, editable=False, null=True),
        ),
    ]
