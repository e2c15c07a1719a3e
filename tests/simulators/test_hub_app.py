"""What the driver's page shows beside OCPI, and that the flex API answers in that shape."""

from datetime import UTC, datetime

import msgspec

from flex.api.objects import EmspSessions
from simulators.hub_app import HubApp, _Page

NIGHT = datetime(2026, 3, 2, 1, tzinfo=UTC)
PAGE = {
    "sessions": [
        {
            "session_id": "S-1",
            "plan": {
                "fsp": "NL-SCS",
                "profile": {
                    "unit": "A",
                    "start": "2026-03-02T00:00:00Z",
                    "periods": [
                        {"start_period": 0, "limit": 0},
                        {"start_period": 7200, "limit": 16},
                    ],
                },
            },
            "prices": {"steps": [{"start": "2026-03-02T01:00:00Z", "per_kwh": 0.21}]},
            "saving": {"currency": "EUR", "amount": 0.4},
            "effect": {"effect": "NOTHING"},
        }
    ]
}


def known() -> HubApp:
    app = HubApp("http://hub.example/flex/v1", "key")
    page = msgspec.convert(PAGE, _Page)
    app._known = {one.session_id: one for one in page.sessions}
    return app


def test_a_driver_sees_the_plan_and_why_his_car_waits():
    shown = known().of("s-1", NIGHT)
    assert [step["limit"] for step in shown["plan"]] == [0, 16]
    assert shown["why"] == "waits for a better hour, charges from 02:00"
    assert (shown["fsp"], shown["saving"]) == ("NL-SCS", 0.4)
    assert shown["prices"] == [{"at": "2026-03-02T01:00:00Z", "kwh": 0.21}]
    assert "does not follow" in shown["trouble"]
    assert known().of("s-1", NIGHT.replace(hour=3))["why"] == ""
    assert known().of("other", NIGHT) == {}


def test_the_flex_api_has_what_is_read():
    """Names of the hub's own answer, so that one cannot change without the other."""
    schema = msgspec.json.schema(EmspSessions)["$defs"]
    assert {"plan", "prices", "saving", "effect"} <= schema["EmspSession"]["properties"].keys()
    assert {"fsp", "profile"} <= schema["PushedProfile"]["properties"].keys()
    assert {"unit", "start", "periods"} <= schema["ProfileShown"]["properties"].keys()
    assert {"start", "per_kwh"} <= schema["PriceStep"]["properties"].keys()
