"""Every change of what the directory holds raises its version and tells the web processes."""

from django.db import migrations

TABLES = ("hub_platform", "hub_endpoint", "hub_party", "hub_agreement")

FUNCTION = """
CREATE FUNCTION hub_directory_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- Never the same twice, also after a restored backup: at least the clock's microseconds.
    INSERT INTO hub_directoryversion AS kept (id, version)
        VALUES (1, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint)
        ON CONFLICT (id) DO UPDATE SET version = greatest(kept.version + 1, excluded.version);
    PERFORM pg_notify('flexhub', 'directory');
    RETURN NULL;
END $$;
"""
UNDO = """
DROP FUNCTION hub_directory_changed();
DELETE FROM hub_directoryversion;
"""


def trigger(table: str) -> migrations.RunSQL:
    return migrations.RunSQL(
        f"CREATE TRIGGER directory_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON {table} "
        "FOR EACH STATEMENT EXECUTE FUNCTION hub_directory_changed()",
        f"DROP TRIGGER directory_changed ON {table}",
    )


class Migration(migrations.Migration):
    dependencies = [("hub", "0001_initial")]
    operations = [migrations.RunSQL(FUNCTION, UNDO), *(trigger(table) for table in TABLES)]
