"""Who may set charging profiles: flexibility agreements and assignments (SCALE D2.3, 11.4)."""

from django.conf import settings

from charging_profiles.authority import MayAct
from flex.models import FlexAgreement, FspAssignment
from hub.ocpi.party import PartyId
from sessions.models import Session


class FlexAuthority:
    """The rules of choice; installed into `charging_profiles.authority` at start-up."""

    def verdict(self, session: Session, caller: PartyId, *, is_scsp: bool) -> MayAct:
        """The session's FSP may. With none: the eMSP of the token, or an SCSP the CPO chose.

        "ChargingProfile can be created by the owner of a Token on Sessions that belong to that
        token"; an SCSP depends "on the CPO sending session information to them"
        (mod_charging_profiles).
        """
        assignment = FspAssignment.of(session)
        if assignment is not None:
            if assignment.fsp == caller:
                return MayAct(None, assignment.epoch)
            return MayAct(f"{caller} is not the flexibility provider of this session.")
        if settings.FSP_AGREEMENT_REQUIRED:
            return MayAct(f"{caller} has no agreement to act as flexibility provider.")
        if caller == session.emsp or (is_scsp and session.is_known_to(caller)):
            return MayAct(None)
        return MayAct(
            f"{caller} is neither the eMSP of the session's token nor an SCSP that the CPO chose."
        )

    def verdict_on_unknown(self, cpo: PartyId, caller: PartyId, *, is_emsp: bool) -> MayAct:
        """An eMSP, whose tokens the CPO knows itself; others need an agreement with this CPO.

        One that is about single eMSPs, tokens or locations says nothing of an unknown session.
        """
        agreed = FlexAgreement.objects.filter(
            cpo_country_code__iexact=cpo.country_code,
            cpo_party_id__iexact=cpo.party_id,
            emsp_party_id="",
            token_uid="",
            location_id="",
            fsp_country_code__iexact=caller.country_code,
            fsp_party_id__iexact=caller.party_id,
            is_active=True,
        ).exists()
        if agreed or (is_emsp and not settings.FSP_AGREEMENT_REQUIRED):
            return MayAct(None)
        return MayAct(f"{caller} has no agreement to act as flexibility provider for {cpo}.")

    def may_see(self, session: Session, caller: PartyId) -> bool:
        """The CPO, the eMSP, whom the CPO sent the session, and the FSP."""
        if caller in {session.owner, session.emsp} or session.is_known_to(caller):
            return True
        assignment = FspAssignment.of(session)
        return assignment is not None and assignment.fsp == caller

    def put_accepted(self, session: Session, caller: PartyId) -> PartyId | None:
        """Without an agreement, the first PUT that the CPO accepts makes its sender FSP."""
        assignment = FspAssignment.of(session)
        if assignment is None and not session.is_over:
            reason = "first profile that the CPO accepted"
            assignment = FspAssignment.open(session, caller, reason=reason)
        return None if assignment is None else assignment.fsp
