"""The audit trail is written and read; the database changes no row of it, and keeps each a year."""

from django.db import migrations

FORWARDS = """
CREATE FUNCTION audit_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' AND OLD.at < now() - interval '365 days' THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION 'the audit trail is append-only';
END $$;
CREATE TRIGGER audit_is_append_only BEFORE UPDATE OR DELETE ON access_auditentry
    FOR EACH ROW EXECUTE FUNCTION audit_is_append_only();
"""
BACKWARDS = """
DROP TRIGGER audit_is_append_only ON access_auditentry;
DROP FUNCTION audit_is_append_only();
"""


class Migration(migrations.Migration):
    dependencies = [("access", "0002_second_factors")]
    operations = [migrations.RunSQL(FORWARDS, BACKWARDS)]
