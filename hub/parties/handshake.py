"""What the hub reads of another platform during registration (credentials, Registration)."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from django.conf import settings

from hub.models import TokenForm
from hub.ocpi import comparison, envelope, offered
from hub.ocpi.configuration import VersionDetails
from hub.ocpi.datatypes import InterfaceRole
from hub.ocpi.errors import (
    HubError,
    InvalidParameters,
    NoMatchingEndpoints,
    NotJson,
    UnableToUseClientApi,
    UnsupportedVersion,
)
from hub.ocpi.lenient import Deviation
from hub.ocpi.modules import CONFIGURATION_MODULES
from hub.ocpi.v2_2_1 import VERSION
from hub.outbound import addresses
from hub.outbound.hang_up import HangUp, HungUp
from hub.outbound.message import Message
from hub.outbound.platform_calls import Response
from hub.parties.token_forms import REFUSALS
from hub.record.note import Kind

SECONDS = 10.0  # seconds
_IN_WORDS = {TokenForm.BASE64: "in Base64", TokenForm.PLAIN: "plain"}


class NoSuccess(UnableToUseClientApi):
    """It has answered, but not as asked: perhaps it cannot read the token.

    To a plain token py-ocpi 0.3.1 says HTTP 500, extrawest-ocpi 2025.7.16 OCPI 3000 with HTTP 200,
    401 or 403: it depends on whether the token's letters could be Base64.
    """


class TokenRefused(NoSuccess):
    """HTTP 401 or 403: the other side does not know the token, or not in this form."""


@dataclass(frozen=True, slots=True)
class Offer:
    """The version settled on, its endpoints there, and what was odd about how it says so."""

    version: str
    endpoints: dict[tuple[str, InterfaceRole], str]
    remarks: list[str] = field(default_factory=list)
    deviations: list[Deviation] = field(default_factory=list, repr=False)


def fetch_offer(
    versions_url: str,
    token: str,
    forms: Sequence[TokenForm],
    hang_up: HangUp | None = None,
    *,
    related_id: str = "",
) -> tuple[Offer, TokenForm]:
    """GET versions and version details of a platform, and in which of these forms it took `token`.

    UnableToUseClientApi (3001) when a GET fails in all of them, UnsupportedVersion (3002) without
    the hub's version, NoMatchingEndpoints (3003) without any module to exchange, HungUp (4000) when
    somebody has ended it by `hang_up`. `related_id`: the handshake in which it happens, for the
    record.
    """
    failures = []
    for form in forms:
        try:
            return _offer(versions_url, form.authorization(token), hang_up, related_id), form
        except NoSuccess as error:
            failures.append(error)
    if not all(isinstance(failure, TokenRefused) for failure in failures):
        raise failures[0]
    tried = " nor ".join(_IN_WORDS[form] for form in forms)
    neither = ", neither" if len(forms) > 1 else ""
    raise TokenRefused(f"{failures[0].message} It does not take the token{neither} {tried}.")


def _offer(versions_url: str, authorization: str, hang_up: HangUp | None, related_id: str) -> Offer:
    ask = partial(_get, authorization=authorization, hang_up=hang_up, related_id=related_id)
    versions = ask(versions_url, what="versions")
    url = _version_url(versions, f"GET versions at {versions_url}")
    _check(url, f"The URL of version {VERSION}")
    details = ask(url, what="version details", known=versions_url)
    if isinstance(details, list) and len(details) == 1:
        details = details[0]
    endpoints = details.get("endpoints") if isinstance(details, dict) else None
    if not isinstance(endpoints, list):
        raise UnableToUseClientApi(
            f"GET version details at {url}: data is not as the specification says: it has no list "
            "of endpoints."
        )
    found = offered.read(endpoints)
    for (module, role), endpoint in found.urls.items():
        _check(endpoint, f"The URL of {module} {role}")
    if not any(module not in CONFIGURATION_MODULES for module, _ in found.urls):
        raise NoMatchingEndpoints(
            f"The version details at {url} offer no module to exchange: "
            f"{', '.join(f'{module} {role}' for module, role in found.urls) or 'nothing'}. "
            f"{' '.join(found.remarks)}".strip()
        )
    deviations = [*found.deviations, *comparison.differences(details, VersionDetails)]
    return Offer(VERSION, found.urls, found.remarks, deviations)


def _version_url(versions: Any, what: str) -> str:
    """The URL of the hub's version; one entry that cannot be read does not spoil the others."""
    if isinstance(versions, list) and len(versions) == 1 and isinstance(versions[0], list):
        versions = versions[0]
    if isinstance(versions, dict):
        versions = [versions]
    if not isinstance(versions, list) or not all(isinstance(one, dict) for one in versions):
        raise UnableToUseClientApi(
            f"{what}: data is not as the specification says: a list of objects with version and "
            "url."
        )
    known = {one["version"].strip(): one.get("url") for one in versions if _is_named(one)}
    if VERSION not in known:
        if versions and not known:
            raise UnableToUseClientApi(f"{what}: no object of data has a version.")
        raise UnsupportedVersion(
            f"This hub speaks {VERSION}; {what} gives: {', '.join(known)[:100] or 'none'}."
        )
    if not isinstance(url := known[VERSION], str):
        raise UnableToUseClientApi(f"{what}: version {VERSION} has no url.")
    return url


def _is_named(version: dict[str, Any]) -> bool:
    return isinstance(version.get("version"), str)


def _check(url: str, what: str) -> None:
    try:
        addresses.check_url(url, what)
    except InvalidParameters as error:
        raise UnableToUseClientApi(error.message) from error
    if len(url) > 255:
        raise UnableToUseClientApi(f"{what} has more than 255 characters.")


def _get(
    url: str,
    *,
    authorization: str,
    what: str,
    hang_up: HangUp | None,
    related_id: str,
    known: str = "",
) -> Any:
    """GET `data` of an answer, as plain JSON values; at the host of `known` OCPI was spoken."""
    message = Message(
        kind=Kind.HANDSHAKE,
        method="GET",
        url=url,
        platform=None,
        module="versions",
        known=known,
        related_id=related_id,
    )
    limit = settings.MAX_PUSH_ANSWER_BYTES
    try:
        response = message.send_now(authorization, seconds=SECONDS, hang_up=hang_up, limit=limit)
    except HungUp:
        raise
    except HubError as error:
        asked = f"GET {what} at {url}"
        raise UnableToUseClientApi(
            f"{asked}: {error.message}", told=f"{asked}: {error.told}"
        ) from error
    answer = envelope.read_answer(response.body)
    if response.status >= 400 or not answer.is_success:
        kind = TokenRefused if response.status in REFUSALS else NoSuccess
        raise kind(f"GET {what} at {url} was answered with {said(response)}.")
    try:
        return comparison.plain(bytes(answer.data))
    except NotJson as error:
        raise UnableToUseClientApi(f"GET {what} at {url}: there is no data in it.") from error


def said(response: Response) -> str:
    """What another platform answered, for people: its OCPI status, or what came instead of OCPI."""
    answer = envelope.read_answer(response.body)
    if answer.status_code is not None:
        message = answer.status_message or "no message"
        return f"HTTP {response.status}, OCPI {answer.status_code} ({message})"
    return f"HTTP {response.status} {_instead(response)}"


def _instead(response: Response) -> str:
    head = response.body[:500].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if not head:
        return "without a body, where an OCPI envelope is due"
    kind = response.headers.get("content-type", "").lower()
    if b"<html" in head or head.startswith(b"<!doctype html") or "html" in kind:
        return (
            "and an HTML page, where JSON is due (is this the URL of an OCPI endpoint, open "
            "without a login?)"
        )
    if head.startswith(b"<"):
        return "and XML, where JSON is due"
    if envelope.is_object(response.body):
        return "and a JSON object without status_code, where an OCPI envelope is due"
    if head.startswith(b"["):
        return (
            'and a bare JSON list, where an OCPI envelope is due: {"status_code": 1000, "data": ..}'
        )
    return "and something that is not JSON, where an OCPI envelope is due"
