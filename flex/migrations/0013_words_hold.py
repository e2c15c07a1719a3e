"""What holds of every word, and how those that fit a session are found."""

import django.db.models.functions.text
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("flex", "0012_said_by"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="flexagreement",
            index=models.Index(
                condition=models.Q(("due_at__isnull", False)),
                fields=["due_at"],
                name="flex_agreement_due",
            ),
        ),
        migrations.AddIndex(
            model_name="flexagreement",
            index=models.Index(
                django.db.models.functions.text.Upper("token_uid"),
                condition=models.Q(
                    ("is_active", True),
                    ("session__isnull", True),
                    models.Q(("token_uid", ""), _negated=True),
                ),
                name="flex_agreement_token",
            ),
        ),
        migrations.AddIndex(
            model_name="flexagreement",
            index=models.Index(
                django.db.models.functions.text.Upper("location_id"),
                django.db.models.functions.text.Upper("cpo_party_id"),
                condition=models.Q(
                    ("is_active", True), ("session__isnull", True), ("token_uid", "")
                ),
                name="flex_agreement_wider",
            ),
        ),
        migrations.AddConstraint(
            model_name="flexagreement",
            constraint=models.CheckConstraint(
                condition=models.Q(("kind", "SCSP"), ("fsp_party_id", ""), _connector="XOR"),
                name="flex_agreement_names_its_fsp",
                violation_error_message="Name the party that acts; of other kinds name none.",
            ),
        ),
        migrations.AddConstraint(
            model_name="flexagreement",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("emsp_party_id", ""), ("said_by", "EMSP"), _negated=True),
                    models.Q(("cpo_party_id", ""), ("said_by", "CPO"), _negated=True),
                ),
                name="flex_agreement_speaker_is_named",
                violation_error_message="Who has said it speaks for its own: name it.",
            ),
        ),
        migrations.AddConstraint(
            model_name="flexagreement",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("token_uid", ""), models.Q(("consent_by", ""), _negated=True), _connector="OR"
                ),
                name="flex_agreement_token_needs_consent",
                violation_error_message="Its eMSP or driver has to consent to a token's.",
            ),
        ),
        migrations.AddConstraint(
            model_name="flexagreement",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("consent_by", ""), ("consented_at__isnull", False), _connector="XOR"
                ),
                name="flex_agreement_consent_has_a_time",
                violation_error_message="Say who has consented, and when.",
            ),
        ),
        migrations.AddConstraint(
            model_name="flexagreement",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("valid_from__isnull", True),
                    ("valid_until__isnull", True),
                    ("valid_until__gt", models.F("valid_from")),
                    _connector="OR",
                ),
                name="flex_agreement_ends_after_it_begins",
                violation_error_message="It has to end after it begins.",
            ),
        ),
        migrations.AddConstraint(
            model_name="flexagreement",
            constraint=models.UniqueConstraint(
                condition=models.Q(
                    ("is_active", True),
                    ("session__isnull", True),
                    ("valid_from__isnull", True),
                    ("valid_until__isnull", True),
                ),
                fields=(
                    "said_by",
                    "cpo_country_code",
                    "cpo_party_id",
                    "emsp_country_code",
                    "emsp_party_id",
                    "token_uid",
                    "location_id",
                ),
                name="flex_agreement_one_fsp_per_scope",
                violation_error_message="Another FSP already has an active agreement for this.",
            ),
        ),
        migrations.AddIndex(
            model_name="flexexclusion",
            index=models.Index(
                condition=models.Q(("due_at__isnull", False)),
                fields=["due_at"],
                name="flex_exclusion_due",
            ),
        ),
        migrations.AddConstraint(
            model_name="flexexclusion",
            constraint=models.UniqueConstraint(
                condition=models.Q(("is_active", True)),
                fields=("cpo_country_code", "cpo_party_id", "fsp_country_code", "fsp_party_id"),
                name="flex_exclusion_once",
                violation_error_message="The CPO excludes it already.",
            ),
        ),
    ]
