"""What is connected stays agreed; how it came is worked out as far as the rows still show it.

An invitation made a platform with the invited party, so that party's row is the first one: of the
parties that are here now the first counts as invited, in all its roles, the others as taken.
"""

from django.db import migrations

FORWARD = """
UPDATE hub_party AS party
SET is_suspended = party.status = 'SUSPENDED' AND NOT party.is_withdrawn,
    is_named = platform.registered_at IS NOT NULL AND NOT party.is_withdrawn
        AND (party.status <> 'PLANNED' OR NOT party.is_agreed)
FROM hub_platform AS platform
WHERE platform.id = party.platform_id;

UPDATE hub_party AS party
SET admission = CASE
    WHEN NOT party.is_agreed THEN 'CLAIMED'
    WHEN upper(party.country_code) = first.country_code
        AND upper(party.party_id) = first.party_id THEN 'INVITED'
    ELSE 'TAKEN' END
FROM (
    SELECT DISTINCT ON (platform_id)
        platform_id, upper(country_code) AS country_code, upper(party_id) AS party_id
    FROM hub_party
    ORDER BY platform_id, (is_named AND is_agreed) DESC, id
) AS first
WHERE first.platform_id = party.platform_id;
"""
BACKWARD = "UPDATE hub_party SET is_agreed = admission <> 'CLAIMED'"


class Migration(migrations.Migration):
    dependencies = [("hub", "0016_admission")]
    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
