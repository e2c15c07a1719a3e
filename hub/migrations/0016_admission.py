"""How a party came, and whose turn a handshake is, get columns of their own."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("hub", "0015_requests_per_second")]

    operations = [
        migrations.CreateModel(
            name="HandshakeTurn",
            fields=[
                (
                    "platform",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="turn",
                        serialize=False,
                        to="hub.platform",
                    ),
                ),
                ("key", models.CharField(max_length=16)),
                ("is_of_hub", models.BooleanField()),
                ("until", models.DateTimeField()),
            ],
        ),
        migrations.AddField(
            model_name="party",
            name="admission",
            field=models.CharField(
                choices=[
                    ("INVITED", "invited by the operator"),
                    ("AGREED", "came uninvited, the operator agreed"),
                    ("TAKEN", "came uninvited in an invited role, and was taken"),
                    ("CLAIMED", "came uninvited, waits for the operator"),
                ],
                default="INVITED",
                help_text="One that waits for the operator is PLANNED, told to nobody, and opens nothing.",
                max_length=7,
                verbose_name="how it came",
            ),
        ),
        migrations.AddField(
            model_name="party",
            name="is_named",
            field=models.BooleanField(default=True, editable=False),
        ),
        migrations.AddField(
            model_name="party",
            name="is_suspended",
            field=models.BooleanField(
                default=False,
                editable=False,
                help_text="By the operator; each role of the party is.",
            ),
        ),
        migrations.AddField(
            model_name="platform",
            name="remarks",
            field=models.TextField(
                blank=True,
                help_text="What the last handshake found odd; the platform was told so in its answer.",
            ),
        ),
    ]
