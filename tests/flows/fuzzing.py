"""Valid requests of every kind, and ways to spoil them; all out of one seeded generator."""

import json
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

from hub.ocpi.headers import authorization
from hub.ocpi.party import PartyId
from tests import minimal
from tests.hub.pushing import evse_of, location_of, tariff_of
from tests.hub.strangers import routing


@dataclass(frozen=True)
class Request:
    """One request as it goes over the wire."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes = b""

    def as_bytes(self) -> bytes:
        """HTTP/1.1, kept alive."""
        lines = [f"{self.method} {self.target} HTTP/1.1", "Host: hub"]
        lines += [f"{name}: {value}" for name, value in self.headers]
        lines += [f"Content-Length: {len(self.body)}", "", ""]
        return "\r\n".join(lines).encode("utf-8", "surrogateescape") + self.body


def valid(cpo: PartyId, emsp: PartyId, token: str, callback: str) -> list[Request]:
    """A request of each module and method, as a party with both roles sends them."""
    driver = minimal.token(emsp, "UID1")
    profile = {"charging_rate_unit": "W", "charging_profile_period": [_period(0), _period(600)]}
    active = {"start_date_time": minimal.MOMENT, "charging_profile": profile}
    command = {"response_url": callback, "token": driver, "location_id": "L1"}
    place, price = location_of(cpo, "L1"), tariff_of(cpo, "T1")
    charging = minimal.session(cpo, emsp, "S1")
    later = {"last_updated": "2026-02-01T00:00:00Z"}
    preferences = {"profile_type": "GREEN", "departure_time": minimal.MOMENT, "energy_need": 12.5}
    reserve = command | {"reservation_id": "R1", "expiry_date": minimal.MOMENT}
    own = {name: minimal.owned(cpo, name) for name in ("L1", "T1", "S1")}
    made: list[tuple[str, str, Any]] = [
        ("GET", "/ocpi/versions", None),
        ("GET", "/ocpi/2.2.1", None),
        ("GET", "/ocpi/2.2.1/credentials", None),
        ("GET", "/ocpi/2.2.1/hubclientinfo?offset=0&limit=5", None),
        ("PUT", f"receiver/locations/{own['L1']}", place),
        ("PUT", f"receiver/locations/{own['L1']}/3256", evse_of("3256")),
        ("PUT", f"receiver/locations/{own['L1']}/3256/1", evse_of("3256")["connectors"][0]),
        ("PATCH", f"receiver/locations/{own['L1']}", {"name": "New"} | later),
        ("PATCH", f"receiver/locations/{own['L1']}/3256", {"status": "CHARGING"} | later),
        ("GET", f"receiver/locations/{own['L1']}", None),
        ("GET", f"sender/locations?date_from={minimal.MOMENT}&limit=3", None),
        ("GET", "sender/locations/L1/3256", None),
        ("PUT", f"receiver/tariffs/{own['T1']}", price),
        ("DELETE", f"receiver/tariffs/{own['T1']}", None),
        ("GET", "sender/tariffs", None),
        ("PUT", f"receiver/tokens/{minimal.owned(emsp, 'UID1')}?type=RFID", driver),
        ("PATCH", f"receiver/tokens/{minimal.owned(emsp, 'UID1')}", {"valid": False} | later),
        ("POST", "sender/tokens/UID1/authorize", {"location_id": "L1"}),
        ("GET", "sender/tokens?offset=1", None),
        ("PUT", f"receiver/sessions/{own['S1']}", charging),
        ("PATCH", f"receiver/sessions/{own['S1']}", {"kwh": 3.5} | later),
        ("GET", f"receiver/sessions/{own['S1']}", None),
        ("GET", "sender/sessions?limit=2", None),
        ("PUT", "sender/sessions/S1/charging_preferences", preferences),
        ("POST", "receiver/cdrs", minimal.cdr(cpo, emsp, "C1")),
        ("GET", "sender/cdrs", None),
        ("POST", "receiver/commands/START_SESSION", command),
        ("POST", "receiver/commands/RESERVE_NOW", reserve),
        ("POST", "sender/commands/START_SESSION/1", {"result": "ACCEPTED"}),
        ("PUT", "receiver/chargingprofiles/S1", _set(profile, callback)),
        ("GET", f"receiver/chargingprofiles/S1?duration=900&response_url={callback}", None),
        ("DELETE", f"receiver/chargingprofiles/S1?response_url={callback}", None),
        ("PUT", "sender/chargingprofiles/S1", active),
        ("POST", "/ocpi/2.2.1/profile-result/none", {"result": "ACCEPTED", "profile": active}),
        ("GET", "/ocpi/2.2.1/via/none", None),
        ("GET", "/ocpi/2.2.1/cdr/NL-CPO/C1", None),
    ]
    return [_request(method, path, body, token) for method, path, body in made]


def _period(start: int) -> dict[str, Any]:
    return {"start_period": start, "limit": 11000.0}


def _set(profile: dict[str, Any], callback: str) -> dict[str, Any]:
    return {"charging_profile": profile, "response_url": callback}


def _request(method: str, path: str, body: Any, token: str) -> Request:
    sent = {
        "Authorization": authorization(token),
        "X-Request-ID": "fuzz",
        "X-Correlation-ID": "fuzz",
        "Content-Type": "application/json",
    }
    target = path if path.startswith("/") else f"/ocpi/2.2.1/{path}"
    content = b"" if body is None else json.dumps(body).encode()
    return Request(method, target, tuple(sent.items()), content)


# --- Ways to spoil one ---------------------------------------------------------------------------

Spoil = Callable[[random.Random, Request], Request]
_ODD_VALUES: Final[tuple[Any, ...]] = (
    *(None, True, 0, -1, 1.5, 230.0, 10**30, -(10**400), 1e308, "", " ", "0", "x" * 300),
    *([], {}, [None], [[]], {"": {}}, "2026-01-01T00:00:00+00:00", "2026-13-45T99:99:99Z"),
    *("\u2028", "\x00", "\ud800", "é", "*", "#NA", "NL-HUB", "1e5", "NaN", "-0", "http://["),
)
_ODD_SEGMENTS: Final = (
    *("", ".", "%2e%2e", "%", "%00", "%ff", "%2F", "%252F", ";", "a;b", "é", "a" * 500, "*", "{}"),
    *("NL", "nl", "\\", "%5C", "?", "&", "=", "[", "@", ":", "~", "|"),
)
_ODD_HEADERS: Final = (
    "",
    " ",
    "\t",
    "x" * 2000,
    "é",
    "\xff",
    "Token",
    "Token ",
    "NL",
    "*",
    "0,1",
    "[",
)
_NAMES: Final = (
    *("Authorization", "X-Request-ID", "X-Correlation-ID", "Content-Type", "OCPI-to-party-id"),
    *("OCPI-to-country-code", "OCPI-from-party-id", "OCPI-from-country-code", "Accept-Encoding"),
    *("X-Forwarded-For", "Cookie", "Connection-Note", "Range", "If-None-Match", "Accept"),
)
_ODD_QUERIES: Final = (
    *("limit=0", "limit=-1", f"limit={'9' * 400}", "offset=1e3", "offset=%00", "date_from=x"),
    *(
        "date_from=2026-01-01%2000:00:00%2B00:00",
        "type=NONE",
        "type=",
        "duration=-1",
        "&&&",
        "=",
        "%",
    ),
    *("response_url=", "response_url=http%3A%2F%2F[", "Response_URL=x", "after=1.2.3", "%ff=%fe"),
)


def _body_values(rng: random.Random, request: Request) -> Request:
    """Another value somewhere in the JSON."""
    if not request.body:
        return replace(request, body=json.dumps(rng.choice(_ODD_VALUES)).encode())
    document = json.loads(request.body)
    for _ in range(rng.randint(1, 3)):
        _spoil_value(rng, document)
    return replace(request, body=json.dumps(document).encode())


def _spoil_value(rng: random.Random, document: Any) -> None:
    inner = document
    while True:
        keys: list[Any] = list(inner) if isinstance(inner, dict) else list(range(len(inner)))
        if not keys:
            return
        key = rng.choice(keys)
        if isinstance(inner[key], (dict, list)) and inner[key] and rng.random() < 0.6:
            inner = inner[key]
            continue
        match rng.randint(0, 3):
            case 0 if isinstance(inner, dict):
                del inner[key]
            case 1 if isinstance(inner, dict):
                inner[str(key).upper()] = inner[key]
            case _:
                inner[key] = rng.choice(_ODD_VALUES)
        return


def _body_bytes(rng: random.Random, request: Request) -> Request:
    """Cut, doubled, wrapped, nested, with a mark before it or a byte changed."""
    body = request.body or b"{}"
    match rng.randint(0, 6):
        case 0:
            body = body[: rng.randint(0, len(body))]
        case 1:
            body = body + body
        case 2:
            body = b"\xef\xbb\xbf" + body
        case 3:
            body = b"[" * rng.choice((1, 600, 5000)) + body
        case 4:
            body = b"[" + body + b"]"
        case 5:
            place = rng.randrange(len(body))
            body = body[:place] + bytes([rng.randrange(256)]) + body[place + 1 :]
        case _:
            body = body.replace(b'"', b'\\"', 1) + b"\x00"
    return replace(request, body=body)


def _path(rng: random.Random, request: Request) -> Request:
    """A segment replaced, added or left out."""
    path, mark, query = request.target.partition("?")
    segments = path.split("/")
    place = rng.randrange(1, len(segments))
    odd = rng.choice(_ODD_SEGMENTS)
    match rng.randint(0, 3):
        case 0:
            segments[place] = odd
        case 1:
            segments.insert(place, odd)
        case 2:
            segments[place] += odd
        case _:
            del segments[place]
    target = "/".join(segments).replace(" ", "%20")
    return replace(request, target=f"{target or '/'}{mark}{query}")


def _query(rng: random.Random, request: Request) -> Request:
    """A parameter more."""
    mark = "&" if "?" in request.target else "?"
    return replace(request, target=f"{request.target}{mark}{rng.choice(_ODD_QUERIES)}")


def _header(rng: random.Random, request: Request) -> Request:
    """A header with an odd value, beside or instead of what was there, or one fewer."""
    name, found = rng.choice(_NAMES), list(request.headers)
    if rng.random() < 0.5:
        found = [one for one in found if one[0] != name]
    if rng.random() < 0.8:
        found.append((name, rng.choice(_ODD_HEADERS)))
    return replace(request, headers=tuple(found))


def _routing(rng: random.Random, request: Request) -> Request:
    """To and from somebody."""
    named = [None, PartyId("NL", "HUB"), PartyId("ZZ", "ZZZ")]
    sent = routing(rng.choice(named), rng.choice(named))
    return replace(request, headers=(*request.headers, *sent.items()))


def _method(rng: random.Random, request: Request) -> Request:
    """Another method."""
    methods = ("GET", "PUT", "POST", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "PROPFIND")
    return replace(request, method=rng.choice(methods))


SPOILS: Final[tuple[Spoil, ...]] = (
    *(_body_values, _body_values, _body_values, _body_bytes),
    *(_path, _query, _header, _routing, _method),
)


def spoiled(rng: random.Random, request: Request) -> Request:
    """The request with one to three things wrong."""
    for spoil in rng.choices(SPOILS, k=rng.choice((1, 1, 1, 2, 3))):
        try:
            request = spoil(rng, request)
        except (ValueError, TypeError, RecursionError):
            continue  # What an earlier one has cut to pieces has no values any more.
    return request
