"""Which parties of some credentials take part: those the operator named, and those beyond.

credentials, Credentials object: a platform may host "virtual" CPOs beside the party that was
invited. Agreement belongs to a party in a role (docs/decisions/0020).
"""

from collections.abc import Iterable, Sequence

from django.conf import settings

from hub.models import Admission, Party
from hub.models.parties import rows_of
from hub.ocpi.configuration import CredentialsRole
from hub.ocpi.datatypes import Role
from hub.ocpi.errors import InvalidParameters
from hub.ocpi.party import PartyId

# Parties of one platform that wait for the operator: more than anybody would look through.
MOST_CLAIMS = 200
_BY_THE_OPERATOR = {Admission.INVITED, Admission.AGREED}


def hub_identity() -> PartyId:
    """Who the hub is."""
    return PartyId.of(settings.HUB_COUNTRY_CODE, settings.HUB_PARTY_ID)


def judge(platform_id: int, roles: Sequence[CredentialsRole]) -> list[Admission]:
    """How each of these roles comes in; InvalidParameters (2001) when none of them may.

    Where it decides, the caller holds the platform's row; without, it is a look in advance.
    """
    before = {(p.identity, p.role): p for p in Party.objects.filter(platform=platform_id)}
    named = dict.fromkeys(role.identity for role in roles)
    _refuse_hubs(roles)
    _refuse_without_invited(named, before.values())
    for identity in named:
        # A party that another platform only claims belongs to nobody; a claim keeps nobody out.
        others = rows_of(identity).exclude(platform_id=platform_id)
        if others.exclude(admission=Admission.CLAIMED).exists():
            raise of_another_platform(identity)
    verdicts = _verdicts(roles, before)
    claims = verdicts.count(Admission.CLAIMED)
    if claims > MOST_CLAIMS:
        raise InvalidParameters(
            f"Your credentials name {claims} parties beyond your invitation, more than the "
            f"{MOST_CLAIMS} that may wait for the operator of this hub; ask it for an invitation."
        )
    return verdicts


def _refuse_hubs(roles: Iterable[CredentialsRole]) -> None:
    for role in roles:
        if role.identity == hub_identity():
            raise InvalidParameters(f"{role.identity} is this hub itself.")
        if role.role == Role.HUB:
            # "A Hub SHALL only reports itself as role: Hub", and nobody else does here.
            raise InvalidParameters(
                f"{role.identity} comes with role HUB, which is the hub's own: name each party in "
                "the role that it has (CPO, EMSP, NAP, NSP, OTHER, SCSP)."
            )


def _refuse_without_invited(named: Iterable[PartyId], before: Iterable[Party]) -> None:
    invited = dict.fromkeys(p.identity for p in before if p.admission == Admission.INVITED)
    if invited and not invited.keys() & set(named):
        raise InvalidParameters(
            f"Your credentials name {_listed(named)}, but the invitation is for "
            f"{_listed(invited)}. Correct country_code and party_id in roles, or ask the operator "
            "of this hub for an invitation of the party that you are."
        )


def _listed(parties: Iterable[PartyId]) -> str:
    found = list(map(str, parties))
    more = len(found) - 5
    return ", ".join(found[:5]) + (f" and {more} more" if more > 0 else "")


def of_another_platform(identity: PartyId) -> InvalidParameters:
    """The refusal of a party that belongs to another platform."""
    return InvalidParameters(
        f"{identity} belongs to another platform of this hub. The combination of country_code and "
        "party_id must be unique; ask the hub's operator."
    )


def _verdicts(
    roles: Sequence[CredentialsRole], before: dict[tuple[PartyId, str], Party]
) -> list[Admission]:
    by_operator = {p.identity for p in before.values() if p.admission in _BY_THE_OPERATOR}
    invited_roles = {p.role for p in before.values() if p.admission == Admission.INVITED}
    # Those that have left count, so that changing parties each day gains no more names.
    taken = {p.identity for p in before.values() if p.admission == Admission.TAKEN}
    verdicts = []
    for role in roles:
        party = before.get((role.identity, role.role))
        if party is not None and _stays(party):
            verdicts.append(Admission(party.admission))
            continue
        is_taken = (
            settings.ACCEPT_UNINVITED_PARTIES
            and role.role in invited_roles
            and role.identity not in by_operator
            and (role.identity in taken or len(taken) < settings.MAX_UNINVITED_PARTIES)
        )
        if is_taken:
            taken.add(role.identity)
        verdicts.append(Admission.TAKEN if is_taken else Admission.CLAIMED)
    return verdicts


def _stays(party: Party) -> bool:
    """What the operator said stands, a taken party that is here goes on; others are judged anew."""
    if party.admission == Admission.TAKEN:
        return party.is_named
    return party.admission in _BY_THE_OPERATOR


def remarks(roles: Sequence[CredentialsRole], verdicts: Sequence[Admission]) -> list[str]:
    """What the platform is told about its waiting parties."""
    waiting = [
        f"{role.identity} {role.role}"
        for role, verdict in zip(roles, verdicts, strict=True)
        if verdict == Admission.CLAIMED
    ]
    if not waiting:
        return []
    more = f" and {len(waiting) - 5} more" if len(waiting) > 5 else ""
    told = f"{', '.join(waiting[:5])}{more}: beyond your invitation"
    return [f"{told}, PLANNED until the operator of this hub agrees."]
