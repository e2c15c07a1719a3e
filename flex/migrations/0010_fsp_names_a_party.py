"""An assignment names a party exactly where one acts.

PARTY is what processes of the release before write until they end.
"""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("flex", "0009_kinds_of_fsp"),
    ]

    operations = [
        migrations.AddConstraint(
            model_name="fspassignment",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("kind__in", ["EMSP", "SCSP", "PARTY"]),
                    ("fsp_party_id", ""),
                    _connector="XOR",
                ),
                name="fsp_names_a_party",
            ),
        ),
    ]
