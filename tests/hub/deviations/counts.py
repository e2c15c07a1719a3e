"""What the hub has counted of what a platform writes otherwise than the text says."""

from hub.deviations import noting
from hub.deviations.models import DeviationCount
from hub.ocpi.party import PartyId
from tests.hub.strangers import until


def counts_of(party: PartyId) -> dict[tuple[str, str], int]:
    """By rule and path, of the party's platform; with what this process has noted until now."""
    until(noting.flush)
    rows = DeviationCount.objects.filter(
        platform__parties__country_code=party.country_code,
        platform__parties__party_id=party.party_id,
    )
    return {(row.rule, row.path): row.number for row in rows}
