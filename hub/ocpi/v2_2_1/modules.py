"""The modules of this version: their URLs by chapter (mod_locations, ..), and what follows of each.

It makes the version details and decides which URLs exist, so the two cannot drift apart. In the
order in which objects are told to whoever comes.
"""

from typing import Final

from hub.ocpi.datatypes import Role
from hub.ocpi.routes import RECEIVER, SENDER, Module, rows

_OWNED: Final = "{country_code}/{party_id}"
_EVSE: Final = "{location_id}/{evse_uid}"
_CONNECTOR: Final = f"{_EVSE}/{{connector_id}}"

MODULES: Final = (
    Module(
        name="locations",
        object_name="Location",
        data_owner=Role.CPO,
        is_broadcast=True,
        is_aggregated=True,
        has_evses=True,
        routes=rows(
            "locations",
            (SENDER, "", "GET"),
            (SENDER, "{location_id}", "GET"),
            (SENDER, _EVSE, "GET"),
            (SENDER, _CONNECTOR, "GET"),
            (RECEIVER, f"{_OWNED}/{{location_id}}", "GET PUT PATCH"),
            (RECEIVER, f"{_OWNED}/{_EVSE}", "GET PUT PATCH"),
            (RECEIVER, f"{_OWNED}/{_CONNECTOR}", "GET PUT PATCH"),
        ),
    ),
    Module(
        name="tariffs",
        object_name="Tariff",
        data_owner=Role.CPO,
        is_broadcast=True,
        is_aggregated=True,
        cure="DELETE those that are not used any more. ",
        routes=rows(
            "tariffs",
            (SENDER, "", "GET"),
            (RECEIVER, f"{_OWNED}/{{tariff_id}}", "GET PUT DELETE"),
        ),
    ),
    Module(
        name="tokens",
        object_name="Token",
        data_owner=Role.EMSP,
        is_broadcast=True,
        is_urgent=True,
        has_type=True,
        has_secret_ids=True,
        cure="Tokens that are not valid any more are forgotten some time later. ",
        routes=rows(
            "tokens",
            (SENDER, "", "GET"),
            (SENDER, "+{token_uid}/authorize", "POST"),
            (RECEIVER, f"{_OWNED}/{{token_uid}}", "GET PUT PATCH"),
        ),
    ),
    Module(
        name="sessions",
        object_name="Session",
        is_for_one_emsp=True,
        cure="Sessions that have ended are forgotten some time later. ",
        routes=rows(
            "sessions",
            (SENDER, "", "GET"),
            (SENDER, "{session_id}/charging_preferences", "PUT"),
            (RECEIVER, f"{_OWNED}/{{session_id}}", "GET PUT PATCH"),
        ),
    ),
    Module(
        name="cdrs",
        object_name="CDR",
        is_for_one_emsp=True,
        routes=rows("cdrs", (SENDER, "", "GET"), (RECEIVER, "", "POST")),
    ),
    Module(
        name="commands",
        has_response_url=True,
        # The Sender interface is the response_url alone.
        routes=rows(
            "commands", (RECEIVER, "+{command}", "POST"), (SENDER, "{command}/{uid}", "POST")
        ),
    ),
    Module(
        name="chargingprofiles",
        has_response_url=True,
        is_carried=True,
        routes=rows(
            "chargingprofiles",
            (RECEIVER, "+{session_id}", "GET PUT DELETE"),
            (SENDER, "+{session_id}", "PUT"),
        ),
    ),
)
