"""FlexAgreements on the command line: whom they name (SCALE D2.3, 11.1)."""

from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils import timezone

from flex.choice import Speaker
from flex.models import Consent, FlexAgreement
from hub.management.parties import named_party

SCOPE = (
    "cpo_country_code",
    "cpo_party_id",
    "emsp_country_code",
    "emsp_party_id",
    "token_uid",
    "location_id",
)


def add_scope(parser: CommandParser) -> None:
    """The options that name the FSP and what it may act for."""
    parser.add_argument("--scsp", type=named_party, required=True, metavar="NL-SCS", help="the FSP")
    parser.add_argument("--cpo", type=named_party, metavar="NL-CPO", help="sessions of this CPO")
    parser.add_argument("--emsp", type=named_party, metavar="DE-MSP", help="drivers of this eMSP")
    parser.add_argument("--location", default="", help="only this location of the CPO")
    parser.add_argument("--token", default="", help="only this token (uid) of the eMSP")


def agreement_of(options: dict[str, Any]) -> FlexAgreement:
    """An unsaved agreement for what was named; CommandError when that makes no sense.

    Where an eMSP is named it is the eMSP's word, which is its consent too; else the CPO's.
    """
    scsp, cpo, emsp = options["scsp"], options["cpo"], options["emsp"]
    location, token = options["location"], options["token"]
    if not (cpo or emsp):
        raise CommandError("Name the CPO (--cpo), the eMSP (--emsp) or both.")
    if location and not cpo:
        raise CommandError("--location is one of a CPO: name it with --cpo.")
    if token and not emsp:
        raise CommandError("--token is one of an eMSP: name it with --emsp.")
    if max(len(location), len(token)) > 36:
        raise CommandError("An id has at most 36 characters.")
    consent = {"consent_by": Consent.EMSP, "consented_at": timezone.now()} if token else {}
    return FlexAgreement(
        said_by=Speaker.EMSP if emsp else Speaker.CPO,
        fsp_country_code=scsp.country_code,
        fsp_party_id=scsp.party_id,
        cpo_country_code=cpo.country_code if cpo else "",
        cpo_party_id=cpo.party_id if cpo else "",
        emsp_country_code=emsp.country_code if emsp else "",
        emsp_party_id=emsp.party_id if emsp else "",
        token_uid=token,
        location_id=location,
        **consent,
    )


def active_like(agreement: FlexAgreement) -> FlexAgreement | None:
    """The same speaker's active agreement for the same, without end, whoever its FSP is."""
    # CiStrings compare without case; the empty string is a value here.
    same = {f"{field}__iexact": getattr(agreement, field) for field in SCOPE}
    open_ended = FlexAgreement.objects.filter(
        is_active=True, session=None, valid_from=None, valid_until=None, said_by=agreement.said_by
    )
    return open_ended.filter(**same).first()
