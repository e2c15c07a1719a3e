"""A CPO's answer to preferences, in words for a driver's app (mod_sessions). Pure."""

from typing import Final

from sessions.objects import ChargingPreferencesResponse as Response

_SAID: Final = {
    Response.ACCEPTED: "has accepted the preferences.",
    Response.DEPARTURE_REQUIRED: "needs the time of departure for this kind of charging.",
    Response.ENERGY_NEED_REQUIRED: "needs the energy that is wanted for this kind of charging.",
    Response.NOT_POSSIBLE: (
        "cannot do what is asked: the preferences contradict one another, or what the station can."
    ),
    Response.PROFILE_TYPE_NOT_SUPPORTED: "does not offer this kind of charging at this station.",
}
# What the hub itself says where the CPO does not (status_codes).
_BY_HUB: Final = {
    4001: "is not known to the hub.",
    4002: "has not answered in time; it may have taken the preferences or not.",
    4003: "cannot be reached now; it has not taken the preferences.",
}


def of_preferences(cpo: str, http_status: int, status_code: int | None, response: str) -> str:
    """A sentence that names the CPO."""
    is_accepted = http_status < 300 and 1000 <= (status_code or 0) <= 1999
    if is_accepted:
        said = _SAID.get(Response(response)) if response in set(Response) else None
        return f"{cpo} {said or 'has taken the preferences, and does not say what comes of them.'}"
    if http_status == 404:
        return f"{cpo} says that this station takes no preferences."
    if status_code in _BY_HUB:
        return f"{cpo} {_BY_HUB[status_code]}"
    code = "" if status_code is None else f" and status_code {status_code}"
    return f"{cpo} has refused the preferences with HTTP {http_status}{code}."
