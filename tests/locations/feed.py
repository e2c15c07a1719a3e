"""A hundred Locations with the deviations of a real operator's feed, made of the same counts.

Counted in the feed that the public repository binary-butterfly/ocpdb keeps of one operator: of 100
Locations 9 have coordinates of four decimals, 8 line breaks in `directions[].text`, 3 an empty
`website`. The values here are made up.
"""

import json
from typing import Any, Final

from hub.ocpi.party import PartyId
from tests import minimal
from tests.hub.pushing import connector_of, evse_of

FOUR_DECIMALS: Final = frozenset(range(9))
LINE_BREAKS: Final = frozenset(range(20, 28))
NO_WEBSITE: Final = frozenset(range(40, 43))
ODD: Final = FOUR_DECIMALS | LINE_BREAKS | NO_WEBSITE


def place(cpo: PartyId, number: int) -> dict[str, Any]:
    """One Location; its deviations are decided by its number."""
    latitude, longitude = f"48.{700000 + number}", f"9.{100000 + number}"
    if number in FOUR_DECIMALS:
        latitude, longitude = latitude[:-2], longitude[:-2]
    break_ = "\r\n" if number in LINE_BREAKS else " "
    website = "" if number in NO_WEBSITE else "https://cpo.example/"
    socket = connector_of(max_voltage=400, max_amperage=32, max_electric_power=22000)
    return minimal.location(
        cpo,
        f"FEED-{number:03}",
        coordinates={"latitude": latitude, "longitude": longitude},
        directions=[{"language": "de", "text": f"Hinter dem Haus{break_}links"}],
        operator={"name": "Stadtwerke", "website": website},
        evses=[evse_of(f"E{number}", connectors=[socket])],
    )


def feed(cpo: PartyId) -> list[dict[str, Any]]:
    """All hundred."""
    return [place(cpo, number) for number in range(100)]


def as_sent(one: dict[str, Any]) -> bytes:
    """The bytes of one as that operator's system writes them."""
    return json.dumps(one, indent=1, ensure_ascii=False).encode()
