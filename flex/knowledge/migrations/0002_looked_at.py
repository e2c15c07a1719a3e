"""When an effect was looked at last: it is judged again when something was told since."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("flex_knowledge", "0001_effects_of_profiles")]

    operations = [
        migrations.AddField(
            model_name="profileeffect",
            name="looked_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
    ]
