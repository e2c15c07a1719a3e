"""Why an assignment ended, and what made it; EMSP, SCSP and NONE beside the kinds of before."""

from django.db import migrations, models

_KINDS = [
    ("EMSP", "the eMSP of the token"),
    ("SCSP", "an SCSP or another party"),
    ("CPO", "the CPO itself"),
    ("EMS", "an energy management system on site"),
    ("EV", "the EV itself"),
    ("NONE", "nobody"),
]


class Migration(migrations.Migration):
    dependencies = [
        ("flex", "0007_journal"),
    ]

    operations = [
        migrations.AddField(
            model_name="fspassignment",
            name="end_reason",
            field=models.CharField(blank=True, db_default="", default="", max_length=200),
        ),
        migrations.AddField(
            model_name="fspassignment",
            name="is_first_put",
            field=models.BooleanField(db_default=False, default=False),
        ),
        migrations.AlterField(
            model_name="fspassignment",
            name="kind",
            field=models.CharField(choices=_KINDS, default="NONE", max_length=5),
        ),
    ]
