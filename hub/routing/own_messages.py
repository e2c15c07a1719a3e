"""Messages that the hub sends in the name of a party, by the way of all messages of that party."""

import time
from dataclasses import dataclass
from urllib.parse import unquote

from hub.ocpi import headers, own_paths
from hub.ocpi.datatypes import InterfaceRole
from hub.ocpi.party import PartyId
from hub.routing.directory import Directory, KnownToken
from hub.routing.request import OcpiRequest


@dataclass(frozen=True, slots=True)
class OwnMessage:
    """One message; `rest` follows the endpoint's URL, and is percent-encoded."""

    sender: PartyId
    receiver: PartyId
    method: str
    module: str
    role: InterfaceRole
    rest: str
    body: bytes
    correlation_id: str

    def request(self, directory: Directory, token: KnownToken) -> OcpiRequest:
        """As if its sender had sent it to the hub, with its token."""
        path = f"{own_paths.interface(self.role, self.module)}/{self.rest}"
        routing = headers.routing(self.sender, self.receiver)
        found = {name.lower().encode(): value.encode() for name, value in routing.items()}
        request = OcpiRequest(
            method=self.method,
            path=unquote(path),
            headers=found,
            request_id=headers.new_id(),
            correlation_id=self.correlation_id,
            began=time.monotonic(),
            scope={"raw_path": path.encode(), "path": unquote(path), "headers": [*found.items()]},
            token=token,
        )
        return request.placed(request.usual_path(directory)).with_body(self.body)
