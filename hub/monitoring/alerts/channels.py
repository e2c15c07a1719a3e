"""How a target is told: a signed webhook, Slack's text, an e-mail (docs/operations.md, Alerts).

The webhook is signed as Standard Webhooks has it: `webhook-id`, `webhook-timestamp`, and
`webhook-signature: v1,` the Base64 of HMAC-SHA256 over `id.timestamp.body`.
"""

import base64
import hmac
import secrets
import smtplib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec
from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.mail import EmailMessage
from django.core.mail.backends.smtp import EmailBackend
from django.core.validators import validate_email
from django.urls import reverse
from django.utils import timezone

from hub.db import secret_box
from hub.monitoring.alerts.models import Alert, Channel, Event, Notice, Target
from hub.ocpi.errors import InvalidParameters, OcpiError
from hub.outbound import addresses, platform_calls

SECONDS: Final = 10.0
_MOST_ANSWER: Final = 100_000  # bytes
_SECRET: Final = "whsec_"  # noqa: S105 - how a secret of Standard Webhooks begins


class NotTold(Exception):
    """The target was not told; the message says why."""


@dataclass(frozen=True, slots=True)
class Message:
    """What is told: its id, which it keeps when it is sent again, and the same for each channel."""

    id: str
    title: str
    text: str
    url: str
    body: Mapping[str, Any]


def of_notice(notice: Notice) -> Message:
    """The beginning or the end of an alert."""
    alert, event = notice.alert, Event(notice.event)
    return _message(f"alert-{alert.pk}-{event.value.lower()}-{notice.target_id}", alert, event)


def of_test(target: Target) -> Message:
    """What the button sends: it looks like an alert, and says that it is none."""
    told = "This is a test: nothing is wrong."
    body = {"event": "test", "hub": _hub(), "sent_at": _utc(timezone.now()), "alert": None}
    url = f"{settings.BASE_URL}/admin/"
    return Message(f"test-{secrets.token_hex(8)}", f"[{_hub()}] Test to {target}", told, url, body)


def _message(key: str, alert: Alert, event: Event) -> Message:
    rule = alert.rule
    url = settings.BASE_URL + reverse("admin:alerts_alert_change", args=[alert.pk])
    since = f"{alert.began_at:%d %b %H:%M} UTC"
    text = f"Since {since}." if alert.ended_at is None else f"Over; it began at {since}."
    word = "Over" if event is Event.ENDED else rule.severity.capitalize()
    return Message(
        key,
        f"[{_hub()}] {word}: {rule.name}",
        f"{alert.summary} {text}",
        url,
        {
            "event": event.value.lower(),
            "hub": _hub(),
            "sent_at": _utc(timezone.now()),
            "alert": {
                "id": alert.pk,
                "rule": rule.name,
                "kind": rule.kind,
                "severity": rule.severity.lower(),
                "subject": alert.subject,
                "summary": alert.summary,
                "limit": rule.limit,
                "began_at": _utc(alert.began_at),
                "ended_at": None if alert.ended_at is None else _utc(alert.ended_at),
                "url": url,
            },
        },
    )


def _hub() -> str:
    return f"{settings.HUB_COUNTRY_CODE}-{settings.HUB_PARTY_ID}"


def _utc(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


# --- Sending --------------------------------------------------------------------------------------


def send(target: Target, message: Message) -> None:
    """Tell it; NotTold says why it was not taken, without the target's URL."""
    try:
        _BY[Channel(target.channel)](target, message)
    except OcpiError as error:
        # What caused it would be in a traceback, with the URL.
        raise NotTold(_without_url(error.message, target)) from None
    except secret_box.WrongKey as error:
        raise NotTold(str(error)) from error


def _without_url(text: str, target: Target) -> str:
    url = target.address
    for spelling in (repr(url), url, repr(url[:300]), url[:300]):
        text = text.replace(spelling, target.shown_address)
    return text


def _webhook(target: Target, message: Message) -> None:
    body = msgspec.json.encode(message.body)
    at = str(int(time.time()))
    _post(
        target.address,
        {
            "Content-Type": "application/json",
            "webhook-id": message.id,
            "webhook-timestamp": at,
            "webhook-signature": signature(target.secret, message.id, at, body),
        },
        body,
    )


def _slack(target: Target, message: Message) -> None:
    """Three characters mean something in Slack's text."""
    text = f"*{message.title}*\n{message.text}"
    for character, escape in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):
        text = text.replace(character, escape)
    body = msgspec.json.encode({"text": f"{text}\n<{message.url}|Look at it>"})
    _post(target.address, {"Content-Type": "application/json"}, body)


def _email(target: Target, message: Message) -> None:
    if not settings.EMAIL_HOST:
        raise NotTold("EMAIL_HOST is not set: the hub knows no mail server.")
    server = EmailBackend(timeout=SECONDS, fail_silently=False)
    text = f"{message.text}\n\n{message.url}\n"
    mail = EmailMessage(
        message.title,
        text,
        settings.DEFAULT_FROM_EMAIL,
        [target.address],
        connection=server,
        headers={"Auto-Submitted": "auto-generated", "X-Flexhub-Alert": message.id},
    )
    try:
        mail.send()
    except (smtplib.SMTPException, OSError) as error:
        raise NotTold(f"{settings.EMAIL_HOST} does not take the mail: {error}") from error


_BY: Final = {Channel.WEBHOOK: _webhook, Channel.SLACK: _slack, Channel.EMAIL: _email}


def new_secret() -> str:
    """What messages to one webhook are signed with."""
    return _SECRET + base64.b64encode(secrets.token_bytes(24)).decode()


def signature(secret: str, key: str, at: str, body: bytes) -> str:
    """As Standard Webhooks has it, version 1."""
    signed = f"{key}.{at}.".encode() + body
    digest = hmac.digest(base64.b64decode(secret.removeprefix(_SECRET)), signed, "sha256")
    return f"v1,{base64.b64encode(digest).decode()}"


def check_address(channel: Channel, address: str) -> None:
    """InvalidParameters for what can never be told."""
    if channel is Channel.EMAIL:
        try:
            validate_email(address)
        except ValidationError as error:
            raise InvalidParameters(f"{address!r} is not an e-mail address.") from error
        return
    if _host(address) not in settings.ALERT_LOCAL_HOSTS:
        addresses.check_url(address, "The target's URL")
    else:
        _check_local(address)


def _check_local(url: str) -> None:
    """Of a host that an operator has named: http and private addresses are well."""
    parts = urlsplit(url)
    if not (url.isascii() and url.isprintable()) or " " in url or "\\" in parts.netloc:
        raise InvalidParameters(f"The target's URL {url!r} has characters that no URL has.")
    try:
        is_absolute = parts.scheme in {"http", "https"} and parts.port != 0
    except ValueError:
        is_absolute = False
    if not is_absolute:
        raise InvalidParameters(f"The target's URL {url!r} is not an absolute http(s) URL.")
    if parts.username or parts.password:
        raise InvalidParameters("The target's URL must not carry a user or password.")


def _host(url: str) -> str:
    try:
        return (urlsplit(url).hostname or "").lower()
    except ValueError:
        return ""


def _post(url: str, headers: Mapping[str, str], body: bytes) -> None:
    """POST it under the guards that hold for a party's URL, unless an operator named the host."""
    check_address(Channel.WEBHOOK, url)
    answer = platform_calls.call(
        "POST",
        url,
        headers,
        body,
        seconds=SECONDS,
        follow=False,
        limit=_MOST_ANSWER,
        is_local=_host(url) in settings.ALERT_LOCAL_HOSTS,
    )
    if not 200 <= answer.status < 300:
        raise NotTold(f"It answered with HTTP {answer.status}.")
