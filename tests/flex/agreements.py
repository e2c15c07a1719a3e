"""FlexAgreements and assignments for tests: who may act for whom."""

from flex.choice import Choice
from flex.models import FlexAgreement, FspAssignment
from hub.ocpi.party import PartyId
from sessions.models import Session
from tests.scripted import Actor


def agree(
    fsp: Actor,
    *,
    cpo: Actor | None = None,
    emsp: Actor | None = None,
    token_uid: str = "",
    location_id: str = "",
    is_active: bool = True,
) -> FlexAgreement:
    """The operator's word that `fsp` may act for all that fits the rest."""
    return FlexAgreement.objects.create(
        fsp_country_code=fsp.party.country_code,
        fsp_party_id=fsp.party.party_id,
        cpo_country_code=cpo.party.country_code if cpo else "",
        cpo_party_id=cpo.party.party_id if cpo else "",
        emsp_country_code=emsp.party.country_code if emsp else "",
        emsp_party_id=emsp.party.party_id if emsp else "",
        token_uid=token_uid,
        location_id=location_id,
        is_active=is_active,
    )


def acts(fsp: PartyId, session: Session) -> FspAssignment:
    """Make it FSP of a session that has none."""
    return FspAssignment.open(session, Choice.of_party(fsp, session.emsp, "a test"))
