"""What of the directory has changed is written down; its version is raised when a change commits.

Deferred: the version's row is the last lock of a transaction, and versions follow the commits.
"""

from django.db import migrations, models

# What the rows of a table are part of, as the directory keeps it.
TABLES = {
    "hub_platform": ("platform", "id"),
    "hub_endpoint": ("platform", "platform_id"),
    "hub_party": ("platform", "platform_id"),
    "hub_agreement": ("agreement", "id"),
    "record_bodyrecording": ("recording", "id"),
}

FUNCTIONS = """
CREATE FUNCTION hub_directory_raise() RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    -- Of this transaction, and forgotten with it.
    raised bigint := nullif(current_setting('flexhub.directory_version', true), '')::bigint;
BEGIN
    IF raised IS NULL THEN
        -- Never the same twice, also after a restored backup: at least the clock's microseconds.
        INSERT INTO hub_directoryversion AS kept (id, version)
            VALUES (1, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint)
            ON CONFLICT (id) DO UPDATE SET version = greatest(kept.version + 1, excluded.version)
            RETURNING kept.version INTO raised;
        PERFORM set_config('flexhub.directory_version', raised::text, true);
        PERFORM pg_notify('flexhub', 'directory');
        -- Who has not looked for an hour reads everything anew.
        DELETE FROM hub_directorychange WHERE version < raised - 3600000000;
    END IF;
    RETURN raised;
END $$;

CREATE FUNCTION hub_directory_note() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    raised bigint;
BEGIN
    IF TG_OP = 'UPDATE' AND OLD IS NOT DISTINCT FROM NEW THEN
        RETURN NULL;
    END IF;
    raised := hub_directory_raise();
    -- Both, since a row may move from one platform to another.
    IF TG_OP <> 'INSERT' THEN
        INSERT INTO hub_directorychange (version, kind, key)
            VALUES (raised, TG_ARGV[0], (to_jsonb(OLD) ->> TG_ARGV[1])::bigint)
            ON CONFLICT DO NOTHING;
    END IF;
    IF TG_OP <> 'DELETE' THEN
        INSERT INTO hub_directorychange (version, kind, key)
            VALUES (raised, TG_ARGV[0], (to_jsonb(NEW) ->> TG_ARGV[1])::bigint)
            ON CONFLICT DO NOTHING;
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION hub_directory_emptied() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO hub_directorychange (version, kind, key)
        VALUES (hub_directory_raise(), 'all', 0) ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;
"""
UNDO_FUNCTIONS = """
DROP FUNCTION hub_directory_emptied();
DROP FUNCTION hub_directory_note();
DROP FUNCTION hub_directory_raise();
"""
FORMER = """
CREATE FUNCTION hub_directory_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO hub_directoryversion AS kept (id, version)
        VALUES (1, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint)
        ON CONFLICT (id) DO UPDATE SET version = greatest(kept.version + 1, excluded.version);
    PERFORM pg_notify('flexhub', 'directory');
    RETURN NULL;
END $$;
"""


def former_trigger(table: str) -> migrations.RunSQL:
    return migrations.RunSQL(
        f"DROP TRIGGER directory_changed ON {table}",
        f"CREATE TRIGGER directory_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON {table} "
        "FOR EACH STATEMENT EXECUTE FUNCTION hub_directory_changed()",
    )


def triggers(table: str, kind: str, key: str) -> migrations.RunSQL:
    return migrations.RunSQL(
        f"CREATE CONSTRAINT TRIGGER directory_changed AFTER INSERT OR UPDATE OR DELETE ON {table} "
        "DEFERRABLE INITIALLY DEFERRED "
        f"FOR EACH ROW EXECUTE FUNCTION hub_directory_note('{kind}', '{key}');"
        f"CREATE TRIGGER directory_emptied AFTER TRUNCATE ON {table} "
        "FOR EACH STATEMENT EXECUTE FUNCTION hub_directory_emptied()",
        f"DROP TRIGGER directory_emptied ON {table}; DROP TRIGGER directory_changed ON {table}",
    )


class Migration(migrations.Migration):
    dependencies = [
        ("hub", "0019_one_lease"),
        ("record", "0001_initial"),
    ]
    operations = [
        migrations.CreateModel(
            name="DirectoryChange",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "version",
                        "kind",
                        "key",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("version", models.BigIntegerField()),
                ("kind", models.CharField(max_length=9)),
                ("key", models.BigIntegerField()),
            ],
        ),
        *(former_trigger(table) for table in TABLES),
        migrations.RunSQL("DROP FUNCTION hub_directory_changed()", FORMER),
        migrations.RunSQL(FUNCTIONS, UNDO_FUNCTIONS),
        *(triggers(table, kind, key) for table, (kind, key) in TABLES.items()),
    ]
