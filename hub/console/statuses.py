"""How the connection of platforms and parties is shown (mod_hub_client_info: ConnectionStatus)."""

from django.utils.safestring import SafeString

from hub.console.tables import AMBER, BLUE, GREEN, GREY, RED, badge
from hub.models import Admission, Party, Platform
from hub.ocpi.datatypes import ConnectionStatus

STATUS_COLOURS = {
    ConnectionStatus.CONNECTED: GREEN,
    ConnectionStatus.OFFLINE: AMBER,
    ConnectionStatus.PLANNED: GREY,
    ConnectionStatus.SUSPENDED: RED,
}
STATUS_MEANING = {
    ConnectionStatus.CONNECTED: "registered, and it answers",
    ConnectionStatus.OFFLINE: "registered, but it does not answer",
    ConnectionStatus.PLANNED: "invited, or not agreed by the operator yet",
    ConnectionStatus.SUSPENDED: "cut off by the operator, or it has left",
}


def status_badge(status: str) -> SafeString:
    """CONNECTED green, OFFLINE amber, PLANNED grey, SUSPENDED red."""
    known = ConnectionStatus(status)
    return badge(status, STATUS_COLOURS[known], STATUS_MEANING[known])


ADMISSION_WORDS = {
    Admission.INVITED: ("invited", GREEN),
    Admission.AGREED: ("agreed", GREEN),
    Admission.TAKEN: ("taken", BLUE),
    Admission.CLAIMED: ("waits for you", AMBER),
}


def admission_badge(party: Party) -> SafeString:
    """By invitation, or how else."""
    admission = Admission(party.admission)
    return badge(*ADMISSION_WORDS[admission], str(admission.label))


def problem_of(platform: Platform) -> str:
    """What the last still-alive check found."""
    return platform.health.problem if hasattr(platform, "health") else ""
