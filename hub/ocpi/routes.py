"""What the table of a version says of a Functional Module: its URLs, and how the hub treats it.

One row (`Module`) has all that the hub's own tables follow from, so a module is entered once:
`hub/ocpi/v2_2_1/modules.py`. What is asked of the rows is in `hub/ocpi/modules.py`.
"""

from dataclasses import dataclass
from typing import Final

from hub.ocpi.datatypes import InterfaceRole, Role

SENDER: Final = InterfaceRole.SENDER
RECEIVER: Final = InterfaceRole.RECEIVER


@dataclass(frozen=True, slots=True)
class Route:
    """One URL shape below an endpoint, for example `{country_code}/{party_id}/{session_id}`."""

    module: str
    role: InterfaceRole
    shape: str
    methods: tuple[str, ...]
    segments: tuple[str, ...]
    # The text itself writes it with no slash before it: `{commands_endpoint_url}{command}`.
    is_joined: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Module:
    """One row of the table; a custom module has none, and is forwarded alone."""

    # The ModuleID, and the text's name of its client owned object.
    name: str
    object_name: str = ""
    # "Data owner" of what is broadcast: in which role a party tells it.
    data_owner: Role | None = None
    # Kept by the hub, fetched from parties, and told to all whom it may concern.
    is_broadcast: bool = False
    # An aggregator or NAP may tell objects of others.
    is_aggregated: bool = False
    # For the eMSP of its `cdr_token`, and nobody else.
    is_for_one_emsp: bool = False
    # Carried by a job of the hub, to whomever it is addressed.
    is_carried: bool = False
    # A request gives a response_url, to which a result is posted.
    has_response_url: bool = False
    # Told before what else waits for its receiver.
    is_urgent: bool = False
    # Named by its `?type=` too.
    has_type: bool = False
    # Who knows the id of an object can charge with it.
    has_secret_ids: bool = False
    # Its uids are those of EVSEs, and name no driver.
    has_evses: bool = False
    # What a party can do that has as many objects as it may have.
    cure: str = ""
    routes: tuple[Route, ...]


def rows(module: str, *shapes: tuple[InterfaceRole, str, str]) -> tuple[Route, ...]:
    """The routes of a module, each of (role, shape, methods); "+{id}" is a joined shape."""
    return tuple(
        Route(
            module,
            role,
            shape.removeprefix("+"),
            tuple(methods.split()),
            tuple(shape.removeprefix("+").split("/")) if shape else (),
            is_joined=shape.startswith("+"),
        )
        for role, shape, methods in shapes
    )
