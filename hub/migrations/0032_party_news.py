"""How far each receiver has been told of parties, instead of a mark for each receiver and party."""

import django.db.models.deletion
from django.db import migrations, models

TRIGGER = """
CREATE FUNCTION hub_partynews_number() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE hub_partynews SET version = hub_directory_raise() WHERE id = NEW.id AND version = 0;
    RETURN NULL;
END $$;
-- Deferred, as those of the directory: the version's row is the last lock of a transaction.
CREATE CONSTRAINT TRIGGER party_news_number AFTER INSERT OR UPDATE ON hub_partynews
    DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW WHEN (NEW.version = 0) EXECUTE FUNCTION hub_partynews_number();
"""
UNDO_TRIGGER = """
DROP TRIGGER party_news_number ON hub_partynews;
DROP FUNCTION hub_partynews_number();
"""
# Receivers with marks are told again of each party that any of them lacked; all others have been
# told of everything.
MOVE = """
DO $$
DECLARE
    now_told bigint;
BEGIN
    IF NOT EXISTS (SELECT FROM hub_party) AND NOT EXISTS (SELECT FROM hub_stalecopy) THEN
        RETURN;
    END IF;
    now_told := hub_directory_raise();
    CREATE TEMPORARY TABLE lacked ON COMMIT DROP AS
        SELECT DISTINCT owner, object_id AS role FROM hub_stalecopy
        WHERE module = 'hubclientinfo' AND state = 'WAITING';
    INSERT INTO hub_partynews (owner, role, country_code, party_id, platform_id, status,
                               last_updated, correlation_id, announced, version)
    SELECT upper(country_code) || '-' || upper(party_id), role, country_code, party_id, platform_id,
           status, last_updated, gen_random_uuid()::text, 1,
           now_told - CASE WHEN (upper(country_code) || '-' || upper(party_id), role)
                                IN (SELECT owner, role FROM lacked) THEN 0 ELSE 1 END
    FROM hub_party WHERE admission <> 'CLAIMED';
    INSERT INTO hub_partynews (owner, role, country_code, party_id, platform_id, status,
                               last_updated, correlation_id, announced, version)
    SELECT owner, role, split_part(owner, '-', 1), split_part(owner, '-', 2), 0, 'SUSPENDED', now(),
           gen_random_uuid()::text, 1, now_told
    FROM lacked ON CONFLICT DO NOTHING;
    INSERT INTO hub_newsposition (receiver_id, version)
    SELECT id, now_told - CASE WHEN EXISTS (
               SELECT FROM hub_stalecopy WHERE receiver_id = hub_platform.id
               AND module = 'hubclientinfo' AND state = 'WAITING') THEN 1 ELSE 0 END
    FROM hub_platform;
    DELETE FROM hub_stalecopy WHERE module = 'hubclientinfo' AND state = 'WAITING';
END $$
"""
# Positions are written all day, and no index is of what changes.
OFTEN = "ALTER TABLE hub_newsposition SET (fillfactor = 50)"


class Migration(migrations.Migration):
    dependencies = [
        ("hub", "0031_deletions"),
    ]

    operations = [
        migrations.CreateModel(
            name="PartyNews",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("owner", models.CharField(max_length=6)),
                ("role", models.CharField(max_length=5)),
                ("country_code", models.CharField(max_length=2)),
                ("party_id", models.CharField(max_length=3)),
                ("platform_id", models.BigIntegerField()),
                ("status", models.CharField(max_length=9)),
                ("last_updated", models.DateTimeField()),
                ("correlation_id", models.CharField(max_length=255)),
                ("announced", models.BigIntegerField()),
                ("version", models.BigIntegerField(db_index=True)),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("owner", "role"), name="party_news_once")
                ],
            },
        ),
        migrations.CreateModel(
            name="NewsPosition",
            fields=[
                (
                    "receiver",
                    models.OneToOneField(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="news_position",
                        serialize=False,
                        to="hub.platform",
                    ),
                ),
                ("version", models.BigIntegerField()),
            ],
        ),
        migrations.RunSQL(OFTEN, migrations.RunSQL.noop),
        migrations.RunSQL(MOVE, migrations.RunSQL.noop),
        migrations.RunSQL(TRIGGER, UNDO_TRIGGER),
        migrations.RemoveField(model_name="stalecopy", name="held"),
    ]
