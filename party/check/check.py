"""Checks one party, given its versions URL and a credentials token (all chapters).

`checked` needs no hub and keeps nothing: it is what `python -m party check` runs.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from hub.ocpi.headers import authorization
from hub.ocpi.party import PartyId
from party.check.asker import CheckPlatform, PlatformAsker
from party.check.asking import Target
from party.check.authorization import credentials_of
from party.check.chapters import findings_of
from party.check.findings import Finding, Outcome
from party.check.probe import Probe
from party.check.versions import endpoints_by_role
from party.connection import Connection


class CannotCheck(Exception):
    """There is nobody to check; the message says why."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What a check has found of `party`."""

    party: PartyId
    findings: list[Finding]

    @property
    def has_failed(self) -> bool:
        """Whether a rule has."""
        return any(finding.outcome is Outcome.FAILED for finding in self.findings)


async def checked(
    platform: CheckPlatform,
    connection: Connection,
    parties: Sequence[PartyId] = (),
    *,
    push: bool = False,
    seconds: float = 10.0,
) -> Checked:
    """Check the platform that `connection` leads to, by the running `platform`.

    The first of `parties` is the TO of all calls; without any, they are those of its Credentials
    object. `seconds` is how long each call may take. With `push`, marked test objects are pushed,
    and a charge point is asked for its profile. CannotCheck when nothing answers, or nobody is
    known.
    """
    asker = PlatformAsker(platform, asyncio.get_running_loop())
    return await asyncio.to_thread(_run, asker, connection, tuple(parties), push, seconds)


def _run(
    asker: PlatformAsker,
    connection: Connection,
    parties: tuple[PartyId, ...],
    push: bool,
    seconds: float,
) -> Checked:
    header = authorization(connection.sends, base64_encoded=connection.base64_encoded)
    target = Target(connection.versions_url, header, parties)
    # Who is asked is known after a look at the Configuration Modules, which are not routed.
    probe = Probe(target, asker.party, asker, push=push, seconds=seconds)
    target.endpoints = endpoints_by_role(probe)
    if probe.is_unreachable:
        raise CannotCheck(f"{connection.versions_url}: {probe.calls[0].problem}")
    if not parties:
        found = credentials_of(probe)
        roles = found.roles if found else []
        target.parties = tuple(
            dict.fromkeys(PartyId.of(role.country_code, role.party_id) for role in roles)
        )
    if not target.parties:
        said = probe.calls[-1]
        raise CannotCheck(f"Whom to ask is not known: {said.asked} was answered with {said.said}.")
    probe.party = target.parties[0]
    return Checked(probe.party, findings_of(probe))
