"""One party under check: the calls that are made to it, and everything that came back."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from secrets import token_hex
from typing import Any, Final
from urllib.parse import quote, urlencode, urljoin, urlsplit

import msgspec

from hub.ocpi import envelope, headers
from hub.ocpi.datatypes import InterfaceRole
from hub.ocpi.masking import without_keys
from hub.ocpi.party import PartyId
from party.check.asking import Asker, NoAnswer, Target

CONFIGURATION: Final = frozenset({"versions", "credentials", "hubclientinfo"})
# Marks everything that a check makes up, so that nobody takes it for real.
MARK: Final = "HUB-CHECK"
TIME_IS_OVER: Final = "the check's time is over"
_SHOWN: Final = 160  # characters


@dataclass(frozen=True, slots=True)
class Call:
    """One request and what became of it; `status` is None when nothing came back."""

    method: str
    url: str
    module: str
    request_id: str
    correlation_id: str
    # Which headers the request had on purpose, for people: never the credentials token.
    note: str = ""
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    milliseconds: int = 0
    problem: str = ""
    # Nothing of the answer is there, since it is longer than what is read of one.
    is_too_long: bool = False
    redirects: tuple[str, ...] = ()
    # Its data is one object, by the text.
    is_single: bool = False

    @property
    def is_functional(self) -> bool:
        """Whether it is routed, so that routing headers belong to it."""
        return self.module not in CONFIGURATION

    @property
    def envelope(self) -> dict[str, Any] | None:
        """The answer as a JSON object, None when it is none."""
        try:
            found = msgspec.json.decode(self.body)
        except (ValueError, RecursionError):
            return None
        return found if isinstance(found, dict) else None

    @property
    def status_code(self) -> int | None:
        """OCPI's, None when there is none; also where it is written as text."""
        return envelope.read_answer(self.body).status_code

    @property
    def data(self) -> Any:
        """`data` of the envelope, None when absent."""
        return (self.envelope or {}).get("data")

    @property
    def raw_data(self) -> bytes:
        """`data` as it was sent."""
        try:
            return bytes(msgspec.json.decode(self.body, type=_Envelope).data)
        except (ValueError, RecursionError):
            return b""

    @property
    def is_success(self) -> bool:
        """HTTP 2xx and OCPI 1xxx."""
        return (
            self.status is not None
            and 200 <= self.status < 300
            and 1000 <= (self.status_code or 0) <= 1999
        )

    @property
    def asked(self) -> str:
        """For people."""
        note = f" ({self.note})" if self.note else ""
        return f"{self.method} {without_keys(self.url)}{note}"

    @property
    def said(self) -> str:
        """For people: status and message; of anything that is not an envelope, how it begins."""
        if self.status is None:
            return self.problem
        if self.status_code is None:
            start = " ".join(self.body[:_SHOWN].decode("utf-8", "replace").split())
            return f"HTTP {self.status}: {start or 'an empty body'}"
        message = (self.envelope or {}).get("status_message") or ""
        shown = f" ({str(message)[:_SHOWN]})" if message else ""
        return f"HTTP {self.status}, OCPI {self.status_code}{shown}"


class _Envelope(msgspec.Struct):
    data: msgspec.Raw = msgspec.Raw()


class Probe:
    """Calls a party in a hub's place, keeps every answer, and stops when it has had enough.

    `party` is the TO of its calls; `seconds` is how long each may take, `total_seconds` all.
    With `push` it also pushes marked test objects and asks a charge point for its profile.
    """

    def __init__(
        self,
        target: Target,
        party: PartyId,
        asker: Asker,
        *,
        push: bool = False,
        seconds: float = 10.0,
        total_seconds: float = 180.0,
        total_bytes: int = 100_000_000,
    ) -> None:
        self.target = target
        self.party = party
        self.asker = asker
        self.push = push
        self.seconds = seconds
        self.mark = f"{MARK}-{token_hex(4)}".upper()
        self.calls: list[Call] = []
        self._ends_at = time.monotonic() + total_seconds
        self._bytes_left = total_bytes
        self._kept: dict[str, Call] = {}

    @property
    def sender(self) -> PartyId:
        """The FROM of its calls."""
        return self.asker.party

    @property
    def is_unreachable(self) -> bool:
        """Calls were made, and none was answered."""
        return bool(self.calls) and all(call.status is None for call in self.calls)

    @property
    def over(self) -> str:
        """Why no more calls are made: every answer is kept, and workers do other things too."""
        if time.monotonic() > self._ends_at:
            return TIME_IS_OVER
        return "its answers are longer than a check reads" if self._bytes_left < 0 else ""

    def endpoint(self, module: str, role: InterfaceRole) -> str | None:
        """Where the party offers an interface, None when it does not."""
        return self.target.endpoints.get((module, role))

    def get(
        self,
        url: str,
        module: str,
        query: Mapping[str, str] | None = None,
        *,
        is_single: bool = False,
        anew: bool = False,
    ) -> Call:
        """GET, once for each URL: the second time gives the last answer, unless asked `anew`."""
        if query:
            url = f"{url}{'&' if '?' in url else '?'}{urlencode(query)}"
        if anew or url not in self._kept:
            self._kept[url] = self.call("GET", url, module, is_single=is_single)
        return self._kept[url]

    def call(
        self,
        method: str,
        url: str,
        module: str,
        *,
        body: bytes = b"",
        authorization: str | None = None,
        note: str = "",
        is_single: bool = False,
    ) -> Call:
        """Send one request; redirects on the same host are followed and remembered.

        `authorization` replaces the right header; an empty one leaves it out.
        """
        call = self._send(method, url, module, body, authorization, note)
        for _ in range(3):
            target = urljoin(call.url, call.headers.get("location", ""))
            is_moved = call.status in {301, 302, 307, 308} and target != call.url
            # The token goes to no other host, nor from https to http.
            if not is_moved or urlsplit(target)[:2] != urlsplit(url)[:2]:
                break
            hops = (*call.redirects, f"{call.status} to {target}")
            moved = self._send(method, target, module, body, authorization, note)
            call = replace(moved, redirects=hops)
        call = replace(call, is_single=is_single)
        self.calls.append(call)
        return call

    def _send(
        self,
        method: str,
        url: str,
        module: str,
        body: bytes,
        authorization: str | None,
        note: str,
    ) -> Call:
        ids = headers.new_id(), headers.new_id()
        sent = {headers.REQUEST_ID: ids[0], headers.CORRELATION_ID: ids[1]}
        token = self.target.authorization if authorization is None else authorization
        if token:
            sent["Authorization"] = token
        if module not in CONFIGURATION:
            sent |= headers.routing(self.sender, self.party)
        if body:
            sent["Content-Type"] = "application/json"
        if problem := self.over:
            return Call(method, url, module, *ids, note, problem=problem)
        began = time.monotonic()
        try:
            answer = self.asker.send(method, url, sent, body, module=module, seconds=self.seconds)
        except NoAnswer as error:
            return Call(
                method,
                url,
                module,
                *ids,
                note,
                milliseconds=round((time.monotonic() - began) * 1000),
                problem=str(error),
                is_too_long=error.is_too_long,
            )
        self._bytes_left -= len(answer.body)
        return Call(
            method,
            url,
            module,
            *ids,
            note,
            status=answer.status,
            headers=answer.headers,
            body=answer.body,
            milliseconds=round((time.monotonic() - began) * 1000),
        )


def below(url: str, *segments: str) -> str:
    """A URL below an endpoint."""
    base, _, query = url.partition("?")
    path = "/".join(quote(segment, safe="") for segment in segments)
    return f"{base.rstrip('/')}/{path}" + (f"?{query}" if query else "")
