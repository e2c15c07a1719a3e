"""Bodies of PATCH requests (transport_and_format, PATCH; each module's PATCH Method)."""

from datetime import datetime
from functools import cache
from typing import Any, get_type_hints

import msgspec

from hub.ocpi import lenient
from hub.ocpi.datatypes import DateTime, decode
from hub.ocpi.errors import InvalidParameters


class Patch(msgspec.Struct, kw_only=True):
    """The changed fields of an object; those that were not sent are UNSET.

    "Any request to the PATCH method SHALL contain the `last_updated` field".
    """

    last_updated: DateTime


@cache
def partial(whole: type[msgspec.Struct]) -> type[Patch]:
    """The Patch of `whole`: each of its fields by the same rules, but none of them required.

    Rules between fields are not checked: they hold for the object once the PATCH is merged.
    """
    hints = get_type_hints(whole, include_extras=True)
    patch: type[Patch] = msgspec.defstruct(  # type: ignore[assignment]  # knows no bases
        f"{whole.__name__}Patch",
        [
            (name, hint | msgspec.UnsetType, msgspec.UNSET)
            for name, hint in hints.items()
            if name != "last_updated"
        ],
        bases=(Patch,),
        module=whole.__module__,
        kw_only=True,
    )
    return patch


Fields = dict[str, msgspec.Raw]


def fields_of(document: bytes) -> Fields:
    """The fields of a JSON object, each with its bytes as they are."""
    return decode(document, Fields)


def merged(document: bytes, changes: bytes) -> bytes:
    """The object with a PATCH in it: fields that were not sent keep their bytes."""
    return msgspec.json.encode(fields_of(document) | fields_of(changes))


class _Dated(msgspec.Struct):
    last_updated: Any = None


def last_updated_of(document: bytes) -> datetime:
    """When the object was last updated, says its owner, in whatever spelling.

    InvalidParameters where that is not a time.
    """
    said = decode(document, _Dated).last_updated
    found = lenient.moment(said)
    if found is None:
        raise InvalidParameters(f"last_updated cannot be read: {str(said)[:40]!r}.")
    return found
