"""How a module handles its messages: what its folder tells the gateway (hub/gateway/modules.py)."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from django.http import HttpResponse
from django.urls import URLPattern

from hub.db.batch_writer import Statement, Writer
from hub.db.django_threads import DjangoThreads
from hub.db.leases import Lease
from hub.models import ForwardedUrl
from hub.ocpi.datatypes import InterfaceRole
from hub.ocpi.own_paths import OwnPath
from hub.ocpi.party import PartyId
from hub.outbound.forwarded import Forwarded
from hub.outbound.platform_calls import Response
from hub.routing.decisions import Forward, Found, LookupKind
from hub.routing.request import OcpiRequest
from hub.store.broadcast_at_once import KeepAtOnce

AfterAnswer = Callable[[Forwarded], None]
BeforeForwarding = Callable[[OcpiRequest], Response | Lease | None]
BeforeAtOnce = Callable[[Writer, DjangoThreads, OcpiRequest], Awaitable[Lease | bool]]
NoAnswer = Callable[[OcpiRequest, Lease | None], None]
Answer = Callable[[Writer, DjangoThreads, OcpiRequest], Awaitable[HttpResponse | None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Handling:
    """Of the messages of one interface and method; None where nothing is done.

    `.._at_once` is the same from the event loop: False or None where nothing was done, and a thread
    has to do it.
    """

    # Asked before a message is forwarded: raises what refuses it, or gives the answer known
    # already; InOneMoment to be asked again. A lease is what it may leave under, and nothing later.
    before: BeforeForwarding | None = None
    before_at_once: BeforeAtOnce | None = None
    # When the check, which costs a thread and a look into the database, can be left out.
    is_needless: Callable[[OcpiRequest], bool] | None = None
    # Run after the receiver's answer, and before the sender has it.
    after: AfterAnswer | None = None
    after_at_once: Callable[[Writer, Forwarded], Awaitable[bool]] | None = None
    # Run when a message that was let through has got no answer.
    no_answer: NoAnswer | None = None
    # Where not even an attempt was made: only the sender is told, and may repeat the message.
    may_be_repeated: bool = False
    held_back: NoAnswer | None = None
    # What an owner pushes to the hub for all, and what else the hub answers itself.
    broadcast_at_once: KeepAtOnce | None = None
    answer_at_once: Answer | None = None


class Posted(NamedTuple):
    """What is known of the URLs of objects that are POSTed (mod_cdrs).

    `location`: the hub's URL for the one that a receiver told. `copy_at`: the hub's own copy, where
    nothing is at that.
    """

    location: Callable[[str, str, int, Forward, bytes, Response], str | None]
    copy_at: Callable[[ForwardedUrl, int], HttpResponse | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModuleHandling:
    """All that a module's folder brings along for the gateway."""

    module: str
    messages: Mapping[tuple[InterfaceRole, str], Handling]
    # What its views answer, below a version.
    urls: Sequence[URLPattern] = ()
    # The questions to the database that it answers: whose is this?
    lookups: Mapping[LookupKind, Callable[[OcpiRequest, PartyId], Found]] = field(
        default_factory=dict
    )
    # The statements that it runs from the event loop.
    statements: tuple[Statement, ...] = ()
    # By the hub's own URL, what answers a POST there from the event loop: (writer, request, key).
    at_own_path: Mapping[
        OwnPath, Callable[[Writer, OcpiRequest, str], Awaitable[HttpResponse | None]]
    ] = field(default_factory=dict)
    # Notes what is posted to a response_url that the hub has given out.
    result_posted: Callable[[ForwardedUrl, bytes], None] | None = None
    posted: Posted | None = None
