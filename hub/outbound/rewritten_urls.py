"""URLs that the hub must rewrite so that the answer comes back through it.

`response_url` (mod_commands), the `Link` of a page and the `Location` of a CDR name a URL of one
party; the other party is given one of the hub, which knows who may call it.
"""

import logging
import re
import string
from collections.abc import Iterable
from typing import Final
from urllib.parse import parse_qsl, quote, unquote, urlencode, urljoin, urlsplit

from django.conf import settings
from django.utils import timezone
from django.utils.crypto import salted_hmac
from msgspec.structs import replace

from hub.db import sql
from hub.models import ForwardedUrl, ForwardedUrlKind, callback_valid_until, quotas
from hub.ocpi import links, own_paths, response_url
from hub.ocpi.datatypes import InterfaceRole
from hub.ocpi.errors import (
    ConnectionProblem,
    ForwardTimeout,
    HubError,
    InvalidParameters,
    MethodNotAllowed,
    NotFound,
)
from hub.ocpi.modules import WITH_RESPONSE_URL
from hub.ocpi.party import PartyId
from hub.outbound import addresses, loops, reasons
from hub.routing.decisions import Forward
from hub.routing.directory import PlatformEntry
from hub.routing.request import OcpiRequest

logger = logging.getLogger(__name__)
_METHODS = {
    ForwardedUrlKind.RESPONSE_URL: "POST",
    ForwardedUrlKind.PAGE: "GET",
    ForwardedUrlKind.LOCATION: "GET",
}
MAX_URL = 255  # characters
# Seen in the wild: the repr of a language's enum where the interface's name belongs.
_ENUM_REPR = re.compile(r"\b[A-Z][A-Za-z]{1,40}\.[A-Za-z_]{1,40}\b")
PAGE_VALID_DAYS = 2
_MAX_TARGET: Final = 2048  # characters


def hub_url(key: str) -> str:
    """The URL of the hub that stands for a party's."""
    return f"{settings.BASE_URL}{own_paths.VIA.path(key)}"


def find(key: str, caller: int) -> ForwardedUrl:
    """The URL behind a key; NotFound for an unknown one, an old one, or somebody else's."""
    found = ForwardedUrl.objects.filter(key=key).first()
    if (
        found is None
        or found.caller_id != caller
        or (found.valid_until is not None and found.valid_until < timezone.now())
    ):
        raise NotFound("This URL was not given to your platform, or is no longer valid.")
    return found


def check_method(forwarded: ForwardedUrl, method: str) -> None:
    """A response_url takes POST; a page and a CDR's Location take GET."""
    allowed = _METHODS[ForwardedUrlKind(forwarded.kind)]
    if method != allowed:
        raise MethodNotAllowed(f"Only {allowed} works here.", headers={"Allow": allowed})


def no_answer(error: ForwardTimeout, target: str, platform: PlatformEntry) -> HubError:
    """What a silent URL is answered with: 4002 where the platform's interfaces are.

    Elsewhere 4003 with the words of all that is dead: of a host and port that a party has only
    named, nobody learns through the hub that it is open (docs/decisions/0019).
    """
    known = (platform.versions_url, *platform.endpoints.values())
    if any(reasons.is_same_origin(target, url) for url in known):
        return error
    return ConnectionProblem(error.message, told=error.told)


def may_name_response_url(module: str, body: bytes, query: str) -> bool:
    """Whether `rewrite_response_url` has to look: always in Commands and ChargingProfiles."""
    return module in WITH_RESPONSE_URL or b'"response_url"' in body or "response_url=" in query


def rewrite_response_url(
    request: OcpiRequest, forward: Forward
) -> tuple[OcpiRequest, tuple[str, ...]]:
    """Replace the response_url in the body or the query; all other bytes stay.

    Returns the request as it goes on, and the keys of the URLs that were given out in it.
    InvalidParameters (2001) where it cannot be called, or cannot be found for sure.
    """
    place, body, query, keys = request.place, request.body, request.query, []
    response_url.check_path(request.rest, place.module)
    found = response_url.in_body(body, place.module, place.role) if body else None
    if found and (key := _key_for(found.url, request, forward)):
        body = found.replaced(hub_url(key))
        keys.append(key)
    url, rest_of_query = response_url.in_query(query, place.module)
    if url is not None and (key := _key_for(url, request, forward)):
        named = f"response_url={quote(hub_url(key))}"
        query = "&".join(part for part in (rest_of_query, named) if part)
        keys.append(key)
    return replace(request, body=body, query=query), tuple(keys)


def end(keys: Iterable[str], sender: PartyId) -> None:
    """End the URLs of a message that its receiver has not taken: nobody can use them."""
    ended, _ = ForwardedUrl.objects.filter(pk__in=list(keys)).delete()
    quotas.add(str(sender), quotas.URLS, -ended)


def _key_for(target: str, request: OcpiRequest, forward: Forward) -> str | None:
    """The key of the hub's URL for a party's; None for a URL of the hub, which a result repeats."""
    try:
        check_response_url(target)
    except loops.LeadsHere:
        if request.place.role == InterfaceRole.SENDER:
            return None
        raise
    return _new_response_url(target, request, forward)


def _new_response_url(target: str, request: OcpiRequest, forward: Forward) -> str:
    receiver, sender = forward.receiver, str(forward.sender)
    quotas.check(sender, quotas.URLS)
    row = ForwardedUrl.objects.create(
        kind=ForwardedUrlKind.RESPONSE_URL,
        module=request.place.module,
        target=target,
        caller_id=receiver.platform.id,
        caller_country_code=receiver.identity.country_code,
        caller_party_id=receiver.identity.party_id,
        owner_country_code=forward.sender.country_code,
        owner_party_id=forward.sender.party_id,
        correlation_id=request.correlation_id,
        sender=sender,
        valid_until=callback_valid_until(settings.CALLBACK_VALID_DAYS),
    )
    quotas.add(sender, quotas.URLS)
    return row.key


def check_response_url(url: str) -> None:
    """Refuse (2001) a URL that the hub could never call."""
    if len(url) > MAX_URL:
        raise InvalidParameters(f"response_url has {len(url)} characters; a URL has at most 255.")
    if any(character <= " " or character == "\x7f" for character in url):
        raise InvalidParameters("response_url contains a space or control character.")
    addresses.check_url(url, "response_url")


def rewrite_link(link: str, asked: str, module: str, caller: int, forward: Forward) -> str | None:
    """The Link header with a next page that works through the hub; None without a next page."""
    try:
        url = links.next_page(link)
    except links.LinkTooLong as error:
        raise HubError(f"The receiver's answer cannot be passed on: {error}.") from error
    if url is None:
        return None
    target = _next_target(url, asked)
    if len(target) > _MAX_TARGET:
        raise HubError("The receiver's Link is too long to be passed on.")
    sender = str(forward.sender)
    quotas.check(sender, quotas.URLS)
    row = ForwardedUrl.objects.create(
        kind=ForwardedUrlKind.PAGE,
        module=module,
        target=target,
        caller_id=caller,
        caller_country_code=forward.sender.country_code,
        caller_party_id=forward.sender.party_id,
        owner_country_code=forward.receiver.identity.country_code,
        owner_party_id=forward.receiver.identity.party_id,
        sender=sender,
        valid_until=callback_valid_until(PAGE_VALID_DAYS),
    )
    quotas.add(sender, quotas.URLS)
    return f'<{hub_url(row.key)}>; rel="next"'


def _next_target(url: str, asked: str) -> str:
    """The absolute URL of the next page; HubError when nobody could call it.

    To leave it out would end the list early, and nobody would see that.
    """
    try:
        target = _as_it_came(mended(urljoin(asked, url), asked))
        addresses.check_url(target, "Link")
    except (ValueError, InvalidParameters) as error:
        home = None if isinstance(error, loops.LeadsHere) else _at_home(url, asked)
        if home is None:
            raise HubError(f"The receiver's next page cannot be asked for: {error}") from error
        return home
    return target


def _at_home(url: str, asked: str) -> str | None:
    """A page whose URL names a host that the hub does not call, at the host that was asked.

    Real ones name the host behind their proxy, with a path that is another one outside.
    """
    try:
        page, own = urlsplit(urljoin(asked, url)), urlsplit(asked)
    except ValueError:
        return None
    if page.scheme not in {"http", "https"} or page.netloc == own.netloc or not page.query:
        return None
    home = own._replace(query=page.query)
    return None if home == own else _as_it_came(home.geturl())


def _location_target(location: str, asked: str, forward: Forward) -> str | None:
    """The absolute URL of a CDR at its receiver; None when nobody could call it."""
    try:
        target = _as_it_came(mended_location(urljoin(asked, location), asked))
        addresses.check_url(target, "Location")
    except (ValueError, InvalidParameters) as error:
        # The CDR is taken all the same; the hub shows its own copy (kept.own_location).
        logger.warning("Location of %s is not passed on: %s", forward.receiver.identity, error)
        return None
    return target


def _as_it_came(url: str) -> str:
    """The URL as text, also if its bytes are not text."""
    return quote(url.encode("utf-8", "surrogateescape"), safe=string.punctuation)


def mended(link: str, asked: str) -> str:
    """A Link that can be called: real ones name https on an http port, or an enum in the path."""
    page, own = urlsplit(link), urlsplit(asked)
    if page.netloc == own.netloc and page.scheme != own.scheme:
        page = page._replace(scheme=own.scheme)
    if page.path != own.path and _ENUM_REPR.search(unquote(page.path)):
        page = page._replace(path=own.path, query=urlencode(parse_qsl(page.query)))
    return page.geturl()


def mended_location(location: str, asked: str) -> str:
    """The Location of a CDR that was POSTed to `asked`, without the enums in its path.

    extrawest-ocpi writes /ocpi/emsp/VersionNumber.v_2_2_1/ModuleID.cdrs/C1: what follows them is
    below the URL that took the CDR.
    """
    found, own = urlsplit(location), urlsplit(asked)
    base = own.path.rstrip("/") + "/"
    segments = found.path.split("/")
    odd = [at for at, one in enumerate(segments[:-1]) if _ENUM_REPR.search(unquote(one))]
    if not odd or not segments[-1] or found.path.startswith(base):
        return location
    path = base + "/".join(segments[odd[-1] + 1 :])
    return own._replace(path=path, query=found.query).geturl()


def rewrite_location(
    location: str, asked: str, caller: int, forward: Forward, named: tuple[str, str]
) -> str | None:
    """The Location of a CDR as a URL of the hub; the same one however often the CDR is sent.

    It ends with the CDR (hub/keeping/retention.py). `named`: its module, its id in capitals.
    """
    module, cdr_id = named
    target = _location_target(location, asked, forward) if location else None
    if target is None or len(target) > _MAX_TARGET:
        return None
    owner = forward.receiver.identity
    told = (str(forward.sender), str(caller), str(owner), cdr_id, target)
    row = ForwardedUrl(
        # No stranger can guess it, and the same CDR finds its row again without a search.
        key=salted_hmac(__name__, "\n".join(told), algorithm="sha256").hexdigest()[:32],
        kind=ForwardedUrlKind.LOCATION,
        module=module,
        object_id=cdr_id,
        target=target,
        caller_id=caller,
        caller_country_code=forward.sender.country_code,
        caller_party_id=forward.sender.party_id,
        owner_country_code=owner.country_code,
        owner_party_id=owner.party_id,
    )
    sql.run(
        f"{sql.insert_into(ForwardedUrl)} ON CONFLICT (key) DO NOTHING",
        sql.values(row),
    )
    return hub_url(row.key)
