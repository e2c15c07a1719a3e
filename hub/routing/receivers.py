"""Who gets a Broadcast Push (transport_and_format, Broadcast Push). Pure."""

from typing import Final

from hub.ocpi.datatypes import ConnectionStatus, InterfaceRole, Role
from hub.ocpi.errors import HubError
from hub.ocpi.modules import AGGREGATED, DATA_OWNERS
from hub.ocpi.party import PartyId
from hub.routing.directory import Directory, PartyEntry

# "The role "Other" is seen as an eMSP type of role".
EMSP_LIKE: Final = frozenset({Role.EMSP, Role.OTHER})


def broadcast_receivers(
    directory: Directory, sender: PartyId, module: str, owner: PartyId | None = None
) -> tuple[PartyEntry, ...]:
    """The receivers of a Broadcast Push of `sender`: the connected parties of the opposite role.

    "CPO pushing information to all eMSPs and NSPs, eMSP pushing information to all CPOs. (The role
    "Other" is seen as an eMSP type of role ..)" (Broadcast Push). Only with the module and an
    agreement, with the `owner` too where an aggregator tells its objects, and never back to the
    sender's platform or the owner's. HubError for a role that has no such objects to tell.
    """
    key = ("broadcast", sender, module, owner)
    if key not in directory.memo:
        directory.memo[key] = _receivers(directory, sender, module, owner)
    found: tuple[PartyEntry, ...] = directory.memo[key]
    return found


def gets_broadcast(
    directory: Directory, teller: PartyId, module: str, owner: PartyId, party: PartyId
) -> bool:
    """Whether a broadcast of this owner's objects by `teller` reaches the party."""
    key = ("reached", teller, module, owner)
    if key not in directory.memo:
        try:
            entries = (
                broadcast_receivers(directory, teller, module, owner)
                if teller in directory.parties
                else ()
            )
        except HubError:
            entries = ()  # The owner has no opposite role any more.
        directory.memo[key] = frozenset(entry.identity for entry in entries)
    return party in directory.memo[key]


def _receivers(
    directory: Directory, sender: PartyId, module: str, owner: PartyId | None
) -> tuple[PartyEntry, ...]:
    own = directory.parties[sender]
    wanted = _opposite(own, module)
    if wanted is None:
        roles = ", ".join(sorted(own.roles))
        raise HubError(
            f"{sender} ({roles}) has no {module} to tell all: {_TELLERS[DATA_OWNERS[module]]} do."
        )
    known = directory.parties.get(owner) if owner is not None and owner != sender else None
    homes = {own.platform.id} if known is None else {own.platform.id, known.platform.id}
    return tuple(
        entry
        for identity, entry in directory.parties.items()
        if entry.status == ConnectionStatus.CONNECTED
        and entry.is_agreed
        and entry.roles & wanted
        and entry.platform.id not in homes
        and entry.platform.endpoint(module, InterfaceRole.RECEIVER) is not None
        and directory.closed_because(sender, identity, module) is None
        and (known is None or directory.closed_because(known.identity, identity, module) is None)
    )


def _opposite(own: PartyEntry, module: str) -> frozenset[Role] | None:
    """The opposite role, by "Data owner": an eMSP has no Locations or Tariffs, a CPO no Tokens."""
    is_of_cpos = DATA_OWNERS[module] == Role.CPO
    tells_others = own.platform.is_aggregator and module in AGGREGATED
    if is_of_cpos and (Role.CPO in own.roles or tells_others):
        return _CUSTOMERS
    tellers = frozenset({Role.OTHER}) if is_of_cpos else EMSP_LIKE
    return frozenset({Role.CPO}) if own.roles & tellers else None


_CUSTOMERS: Final = frozenset({Role.EMSP, Role.NSP, Role.OTHER, Role.NAP})
_TELLERS: Final = {Role.CPO: "CPOs", Role.EMSP: "eMSPs"}
