"""The hub's own PUTs and DELETEs of a switch, in the name of those whose profile it is.

mod_charging_profiles, Receiver; docs/decisions/0036. Nobody is told their results: the rows have
them.
"""

from urllib.parse import quote

from charging_profiles.models import ProfileCommand, Purpose
from hub.ocpi import headers

_SAME = (
    *("session_id", "session_id_sent", "lane", "fsp_platform_id", "fsp_country_code"),
    *("fsp_party_id", "cpo_platform_id", "cpo_country_code", "cpo_party_id"),
)


def send_again(put: ProfileCommand) -> ProfileCommand:
    """The very profile once more, under the same assignment."""
    assert put.method == "PUT", f"a {put.method} has no profile to send again"  # noqa: S101
    again = _copy(put, "PUT", Purpose.AGAIN, put.epoch)
    again.path = put.path
    again.body = bytes(put.body).replace(put.key.encode(), again.key.encode())
    again.add()
    return again


def clear(put: ProfileCommand, epoch: int) -> ProfileCommand:
    """DELETE the profile of one who was FSP, in its name; under the assignment that is open now."""
    command = _copy(put, "DELETE", Purpose.CLEAR, epoch)
    base, _, own = put.path.partition("?")
    query = [*([own] if own else []), f"response_url={quote(command.result_url)}"]
    command.path = f"{base}?{'&'.join(query)}"
    command.add()
    return command


def _copy(command: ProfileCommand, method: str, purpose: Purpose, epoch: int) -> ProfileCommand:
    same = {name: getattr(command, name) for name in _SAME}
    return ProfileCommand(
        **same, method=method, purpose=purpose, epoch=epoch, correlation_id=headers.new_id()
    )
