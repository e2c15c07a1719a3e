"""Commands that have not ended get their lane; the others are never looked for by it."""

from django.db import migrations

FILL = """
    UPDATE ocpi_charging_profiles_profilecommand
    SET lane = upper(cpo_country_code || '-' || cpo_party_id || '/' || session_id_sent)
    WHERE state IN ('WAITING', 'SENDING')
"""


class Migration(migrations.Migration):
    dependencies = [
        ("ocpi_charging_profiles", "0005_order_of_a_session"),
    ]

    operations = [migrations.RunSQL(FILL, migrations.RunSQL.noop)]
