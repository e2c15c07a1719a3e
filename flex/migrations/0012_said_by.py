"""Agreements of before were an eMSP's word where they name one, else the CPO's.

An eMSP's word on its own token is its consent. Nothing that was chosen by them changes.
"""

from django.db import migrations

_FORWARD = """
    UPDATE flex_flexagreement SET
        said_by = CASE WHEN emsp_party_id <> '' THEN 'EMSP' ELSE 'CPO' END,
        consent_by = CASE WHEN token_uid <> '' THEN 'EMSP' ELSE '' END,
        consented_at = CASE WHEN token_uid <> '' THEN created_at END,
        changed_at = created_at, due_at = NULL
"""
_BACK = "DELETE FROM flex_flexagreement WHERE kind <> 'SCSP' OR session_id IS NOT NULL"


class Migration(migrations.Migration):
    dependencies = [
        ("flex", "0011_words"),
    ]

    operations = [
        migrations.RunSQL(_FORWARD, _BACK),
    ]
