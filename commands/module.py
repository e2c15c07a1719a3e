"""How commands are handled on their way, for the gateway (mod_commands)."""

from typing import Final

from commands.lookups import command_receiver
from commands.reservations import command_posted, result_posted
from hub.ocpi.datatypes import InterfaceRole
from hub.routing.decisions import LookupKind
from hub.store.handling import Handling, ModuleHandling

HANDLING: Final = ModuleHandling(
    module="commands",
    messages={(InterfaceRole.RECEIVER, "POST"): Handling(after=command_posted)},
    lookups={LookupKind.COMMAND: command_receiver},
    result_posted=result_posted,
)
