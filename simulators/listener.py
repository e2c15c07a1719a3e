"""A party that takes whatever it is sent, at every module: for roles without a simulator."""

from collections.abc import Iterable
from typing import Any, Final

import msgspec

from hub.ocpi.datatypes import InterfaceRole, Role
from hub.ocpi.party import PartyId
from party.messages import Received, Reply
from simulators.faulty_platform import FaultyPlatform

FUNCTIONAL_MODULES: Final = (
    "cdrs", "chargingprofiles", "commands", "locations", "sessions", "tariffs", "tokens",
)  # fmt: skip
METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE")


class Listener(FaultyPlatform):
    """Answers 1000 to everything, or what `answers` holds for a (module, method)."""

    def __init__(
        self,
        roles: Iterable[tuple[PartyId, Role]],
        *,
        modules: Iterable[str] = FUNCTIONAL_MODULES,
        **more: Any,
    ) -> None:
        super().__init__(roles, **more)
        self.answers: dict[tuple[str, str], Reply] = {}
        for module in modules:
            for interface in InterfaceRole:
                self.serve(module, interface, dict.fromkeys(METHODS, self._take))

    async def _take(self, message: Received) -> Reply:
        answer = self.answers.get((message.module, message.method), Reply(msgspec.UNSET))
        # A copy, since faults may change what is sent.
        return Reply(
            answer.data,
            answer.status_code,
            answer.message,
            answer.http_status,
            dict(answer.headers),
            answer.afterwards,
        )
