"""`python -m bench.join`: register parties that have no server of their own to shake hands with.

Reads a JSON list of {party, role, url, sends, receives} and writes {party: its credentials token}.
`url` is where the party's endpoints are; the rows are those that the handshake itself makes.
"""

import json
import os
import secrets
import sys
from collections.abc import Sequence

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hub.settings")
django.setup()

from hub.db import secret_box  # noqa: E402 - the models need the loaded settings
from hub.models import (  # noqa: E402
    Platform,
    TokenForm,
    handshake_turns,
)
from hub.ocpi.configuration import BusinessDetails, Credentials, CredentialsRole  # noqa: E402
from hub.ocpi.datatypes import InterfaceRole, Role  # noqa: E402
from hub.ocpi.party import PartyId  # noqa: E402
from hub.ocpi.strange_credentials import Read  # noqa: E402
from hub.ocpi.v2_2_1 import VERSION  # noqa: E402
from hub.parties import onboarding  # noqa: E402 - the models need the loaded settings
from hub.parties.handshake import Offer  # noqa: E402

RECEIVED = ("locations", "sessions", "nltnm-places")


def join(
    party: str,
    role: str,
    url: str,
    sends: Sequence[str] = (),
    receives: Sequence[str] = RECEIVED,
) -> str:
    """Invite one party and take over its credentials; the token that it shall present.

    It offers to receive Locations, Sessions and a custom module (or what it `receives`), and what
    it `sends`.
    """
    identity = PartyId.parse(party)
    invitation = onboarding.invite(identity, [Role(role)], party)
    platform = Platform.objects.get(name=party)
    roles = [CredentialsRole(Role(role), BusinessDetails(party), identity[1], identity[0])]
    credentials = Credentials(secrets.token_urlsafe(32), f"{url}/versions", roles)
    modules = [(module, InterfaceRole.RECEIVER) for module in receives]
    modules += [(module, InterfaceRole.SENDER) for module in sends]
    offer = Offer(VERSION, {(module, side): f"{url}/{module}" for module, side in modules})
    turn = handshake_turns.begin(platform.pk, 60.0)
    presented = onboarding.Presented(secret_box.token_hash(invitation.token), turn)
    read = Read(credentials, [], [])
    return onboarding.register(
        platform.pk, read, offer, TokenForm.BASE64, presented, is_new=True
    ).token


if __name__ == "__main__":
    sys.stdout.write(json.dumps({asked["party"]: join(**asked) for asked in json.load(sys.stdin)}))
