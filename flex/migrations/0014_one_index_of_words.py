"""One index finds the words that fit a session: each push of a Session without an FSP asks."""

from django.db import migrations, models
from django.db.models.functions import Upper


class Migration(migrations.Migration):
    dependencies = [
        ("flex", "0013_words_hold"),
    ]

    operations = [
        migrations.RemoveIndex(model_name="flexagreement", name="flex_agreement_token"),
        migrations.RemoveIndex(model_name="flexagreement", name="flex_agreement_wider"),
        migrations.AddIndex(
            model_name="flexagreement",
            index=models.Index(
                Upper("token_uid"),
                Upper("location_id"),
                Upper("cpo_party_id"),
                condition=models.Q(("is_active", True), ("session__isnull", True)),
                name="flex_agreement_scope",
            ),
        ),
    ]
