"""Credentials as platforms really write them (credentials, Credentials object).

The hub needs the token, the URL and who comes in which role. The rest is kept as far as it can be
read: an empty website or logo keeps nobody out. A role that cannot be read is left out and told.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from hub.ocpi import comparison
from hub.ocpi.configuration import Credentials, CredentialsRole
from hub.ocpi.datatypes import BusinessDetails, Image, Role
from hub.ocpi.errors import InvalidParameters
from hub.ocpi.lenient import Deviation
from hub.ocpi.party import PartyId
from hub.ocpi.v2_2_1 import VERSION

# The text says 64; a longer one is a token as well.
_LONGEST_TOKEN: Final = 512
_LONGEST_URL: Final = 255
_LONGEST_NAME: Final = 100
_MOST_TOLD: Final = 5


@dataclass(frozen=True, slots=True)
class Read:
    """What was meant, what was left out of it (for the platform), and all that differs."""

    credentials: Credentials
    remarks: list[str]
    deviations: list[Deviation] = field(repr=False)


class _Unreadable(ValueError):
    """Why a role means nothing."""


def read(body: bytes) -> Read:
    """Read a Credentials object: NotJson (400), or InvalidParameters (2001) naming the field."""
    value = comparison.plain(body)
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if not isinstance(value, dict):
        raise InvalidParameters("Expected a Credentials object: token, url and roles.")
    roles, remarks = _roles(value.get("roles"))
    credentials = Credentials(token=_token(value), url=_url(value), roles=roles)
    return Read(credentials, remarks, comparison.differences(value, Credentials))


def _token(value: dict[str, Any]) -> str:
    token = value.get("token")
    if not isinstance(token, str) or not token:
        raise InvalidParameters("token is missing: the one by which this hub is to call you.")
    if not all("\x21" <= character <= "\x7e" for character in token):
        raise InvalidParameters("token has characters other than printable ASCII, or a blank.")
    if len(token) > _LONGEST_TOKEN:
        raise InvalidParameters(f"token has more than {_LONGEST_TOKEN} characters.")
    return token


def _url(value: dict[str, Any]) -> str:
    url = value.get("url")
    if not isinstance(url, str) or not url:
        raise InvalidParameters("url is missing: the one of your versions endpoint.")
    if len(url) > _LONGEST_URL:
        raise InvalidParameters(f"url has more than {_LONGEST_URL} characters.")
    return url


def _roles(value: Any) -> tuple[list[CredentialsRole], list[str]]:
    values = [value] if isinstance(value, dict) else value
    if not isinstance(values, list) or not values:
        raise InvalidParameters("roles is missing or empty: the list of your parties.")
    found: dict[tuple[PartyId, Role], CredentialsRole] = {}
    unreadable = []
    for number, one in enumerate(values):
        try:
            role = _role(one)
        except _Unreadable as error:
            unreadable.append(f"roles[{number}] is left out: {error}.")
        else:
            found.setdefault((role.identity, role.role), role)
    told = unreadable[:_MOST_TOLD]
    if len(unreadable) > _MOST_TOLD:
        told.append(f"{len(unreadable) - _MOST_TOLD} more of roles are left out.")
    if not found:
        raise InvalidParameters(f"roles names no party that this hub can take. {' '.join(told)}")
    return list(found.values()), told


def _role(value: Any) -> CredentialsRole:
    if not isinstance(value, dict):
        raise _Unreadable("it is not an object")
    try:
        role = Role(_word(value.get("role")).upper())
    except ValueError as error:
        names = ", ".join(role.value for role in Role if role is not Role.HUB)
        raise _Unreadable(f"role is {_shown(value, 'role')}, OCPI {VERSION} has {names}") from error
    country_code, party_id = _word(value.get("country_code")), _word(value.get("party_id"))
    try:
        PartyId.of(country_code, party_id)
    except ValueError as error:
        raise _Unreadable(
            f"country_code {_shown(value, 'country_code')} and party_id "
            f"{_shown(value, 'party_id')} have to be two letters and one to three letters or digits"
        ) from error
    return CredentialsRole(
        role=role,
        business_details=_details(value.get("business_details")),
        party_id=party_id,
        country_code=country_code,
    )


def _word(value: Any) -> str:
    """A short text; a party_id of digits is a number to some."""
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return str(value) if is_number else value.strip() if isinstance(value, str) else ""


def _shown(value: dict[str, Any], name: str) -> str:
    if name not in value:
        return "missing"
    found = value[name]
    return repr(found[:20]) if isinstance(found, str) else "not a text"


def _details(value: Any) -> BusinessDetails:
    if not isinstance(value, dict):
        return BusinessDetails(name="")
    name = value.get("name")
    website = value.get("website")
    return BusinessDetails(
        name=_line(name)[:_LONGEST_NAME] if isinstance(name, str) else "",
        website=website if _is_url(website) else None,
        logo=_image(value.get("logo")),
    )


def _line(text: str) -> str:
    return "".join(one if one.isprintable() else " " for one in text).strip()


def _is_url(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= _LONGEST_URL and value.isprintable()


def _image(value: Any) -> Image | None:
    try:
        image = msgspec.convert(value, Image)
    except msgspec.ValidationError:
        return None
    return image if all(text.isprintable() for text in _texts(image)) else None


def _texts(image: Image) -> Iterator[str]:
    yield from (image.url, image.type, image.thumbnail or "")
