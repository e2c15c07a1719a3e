"""Locations, Tariffs and Tokens of others as their Receiver keeps them (Client Owned Objects)."""

from typing import Any

import msgspec

from hub.ocpi.datatypes import decode
from hub.ocpi.errors import InvalidParameters, NotFound
from party.messages import Handler, Received, Reply
from party.recent import Recent

# A part of a Location: where it stands in its parent, and the field that names it.
_PARTS = (("evses", "uid"), ("connectors", "id"))


class ObjectsReceiver:
    """What was pushed, whole, by country_code, party_id and id; parts are changed in place."""

    def __init__(self, kind: type[msgspec.Struct]) -> None:
        self._kind = kind
        self.objects: Recent[tuple[str, ...], dict[str, Any]] = Recent()

    def handlers(self) -> dict[str, Handler]:
        """The Receiver interface."""
        return {"GET": self._get, "PUT": self._put, "PATCH": self._patch, "DELETE": self._delete}

    def keep(self, document: dict[str, Any]) -> None:
        """Keep an object that came in a list; msgspec.ValidationError when it is wrong."""
        msgspec.convert(document, self._kind)
        owner = (document["country_code"], document["party_id"])
        name = document["id"] if "id" in document else document["uid"]
        self.objects[tuple(part.upper() for part in (*owner, name))] = document

    async def _get(self, message: Received) -> Reply:
        return Reply(self._named(message))

    async def _put(self, message: Received) -> Reply:
        key = self._key(message)
        sent = decode(message.body, dict[str, Any])
        if len(message.parts) == 3:
            message.read(self._kind)
            self.objects[key] = sent
            return Reply()
        parent = self._named(message, len(message.parts) - 1)
        list_name, field = _PARTS[len(message.parts) - 4]
        others = [one for one in parent.get(list_name) or [] if one[field].upper() != key[-1]]
        parent[list_name] = [*others, sent]
        return Reply()

    async def _patch(self, message: Received) -> Reply:
        changes = decode(message.body, dict[str, Any])
        if "last_updated" not in changes:
            raise InvalidParameters("PATCH needs last_updated.")
        try:
            self._named(message).update(changes)
        except NotFound as error:
            raise InvalidParameters(f"{error.message} Send it by PUT.") from error
        return Reply()

    async def _delete(self, message: Received) -> Reply:
        if self.objects.pop(self._key(message), None) is None:
            raise InvalidParameters("There is no such object.")
        return Reply()

    def _named(self, message: Received, depth: int | None = None) -> dict[str, Any]:
        """The object, EVSE or Connector that the URL names; NotFound when there is none."""
        parts = self._key(message)[:depth]
        found = self.objects.get(parts[:3])
        for (list_name, field), wanted in zip(_PARTS, parts[3:], strict=False):
            children = (found or {}).get(list_name) or []
            found = next((one for one in children if one[field].upper() == wanted), None)
        if found is None:
            raise NotFound(f"There is no {'/'.join(parts)}.")
        return found

    @staticmethod
    def _key(message: Received) -> tuple[str, ...]:
        if not 3 <= len(message.parts) <= 5:
            raise InvalidParameters("The URL has to end in /{country_code}/{party_id}/{id}.")
        return tuple(part.upper() for part in message.parts)
