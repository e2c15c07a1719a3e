"""Every assignment says in the kinds of today what acts, and names a party exactly if one does."""

from django.db import migrations

_FORWARD = """
    UPDATE flex_fspassignment AS one SET
        is_first_put = one.reason = 'first profile that the CPO accepted',
        kind = CASE
            WHEN one.kind <> 'PARTY' THEN one.kind
            WHEN one.fsp_party_id = '' THEN 'NONE'
            WHEN upper(one.fsp_country_code) = upper(kept.emsp_country_code)
                 AND upper(one.fsp_party_id) = upper(kept.emsp_party_id) THEN 'EMSP'
            ELSE 'SCSP'
        END,
        fsp_country_code = CASE one.kind WHEN 'PARTY' THEN one.fsp_country_code ELSE '' END,
        fsp_party_id = CASE one.kind WHEN 'PARTY' THEN one.fsp_party_id ELSE '' END
    FROM ocpi_sessions_session AS kept WHERE kept.id = one.session_id
"""
# Whoever reads the old kinds knows no NONE; EV is the nearest that blocks.
_BACK = """
    UPDATE flex_fspassignment SET kind = CASE kind WHEN 'NONE' THEN 'EV' ELSE 'PARTY' END
    WHERE kind IN ('EMSP', 'SCSP', 'NONE')
"""


class Migration(migrations.Migration):
    dependencies = [
        ("flex", "0008_end_of_assignments"),
        ("ocpi_sessions", "0001_initial"),
    ]

    operations = [
        migrations.RunSQL(_FORWARD, _BACK),
    ]
