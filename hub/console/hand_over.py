"""What the operator hands over beside the token: three calls, and two answers (credentials)."""

import json
from collections.abc import Sequence

from django.conf import settings

from hub.ocpi import own_paths
from hub.ocpi.datatypes import Role
from hub.ocpi.party import PartyId
from hub.ocpi.v2_2_1 import VERSION
from hub.parties import onboarding

_YOURS = "https://your.system/ocpi"
_MOMENT = "2026-01-01T00:00:00Z"


def sheet(
    party: PartyId, roles: Sequence[str], name: str, authorization: str
) -> list[tuple[str, str]]:
    """Title and text of each part; what the engineer is to replace says "your"."""
    call = f"curl -H 'Authorization: {authorization}'"
    hub = settings.BASE_URL + own_paths.DETAILS
    credentials = {
        "token": "a-token-of-your-own",
        "url": f"{_YOURS}/versions",
        "roles": [
            {
                "role": role,
                "country_code": party.country_code,
                "party_id": party.party_id,
                "business_details": {"name": name},
            }
            for role in roles
        ],
    }
    said = json.dumps(credentials).replace("'", "\\u0027")
    role = "SENDER" if Role.CPO in roles else "RECEIVER"
    endpoint = {"identifier": "locations", "role": role, "url": f"{_YOURS}/{VERSION}/locations"}
    return [
        ("1. Read the hub's versions", f"{call} {onboarding.versions_url()}"),
        ("2. Read what the hub offers", f"{call} {hub}"),
        (
            "3. Exchange credentials; the answer has the token that opens the hub from then on",
            f"{call} -H 'Content-Type: application/json' {hub}/credentials -d '{said}'",
        ),
        (
            "During that call the hub asks your versions, with your token; answer",
            _answer([{"version": VERSION, "url": f"{_YOURS}/{VERSION}"}]),
        ),
        (
            "and your version details, with a row for each module that you offer",
            _answer({"version": VERSION, "endpoints": [endpoint]}),
        ),
    ]


def _answer(data: object) -> str:
    return json.dumps({"data": data, "status_code": 1000, "timestamp": _MOMENT})
