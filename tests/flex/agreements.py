"""FlexAgreements and assignments for tests: who may act for whom."""

from typing import Any

from django.utils import timezone

from flex.choice import Choice, Speaker
from flex.models import Consent, FlexAgreement, FspAssignment
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
    **more: Any,
) -> FlexAgreement:
    """The eMSP's or CPO's word that `fsp` may act for all that fits the rest.

    Sessions that are there are not looked at again by the clock: each test says when.
    """
    told: dict[str, Any] = {"said_by": Speaker.EMSP if emsp else Speaker.CPO, "due_at": None}
    if token_uid:
        told |= {"consent_by": Consent.EMSP, "consented_at": timezone.now()}
    return FlexAgreement.objects.create(
        fsp_country_code=fsp.party.country_code,
        fsp_party_id=fsp.party.party_id,
        cpo_country_code=cpo.party.country_code if cpo else "",
        cpo_party_id=cpo.party.party_id if cpo else "",
        emsp_country_code=emsp.party.country_code if emsp else "",
        emsp_party_id=emsp.party.party_id if emsp else "",
        token_uid=token_uid,
        location_id=location_id,
        **told | more,
    )


def acts(fsp: PartyId, session: Session, reason: str = "a test") -> FspAssignment:
    """Make it FSP of a session that has none."""
    return FspAssignment.open(session, Choice.of_party(fsp, session.emsp, reason))
