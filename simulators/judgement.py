"""How a CPO judges a driver's wishes (mod_sessions, ChargingPreferencesResponse)."""

from hub.ocpi.datatypes import utc
from sessions.objects import ChargingPreferences, ChargingPreferencesResponse, ProfileType
from simulators.documents import SimulatedSession


def judge(session: SimulatedSession, wanted: ChargingPreferences) -> ChargingPreferencesResponse:
    """ACCEPTED only for what this EVSE can do in the time there is."""
    if wanted.profile_type is ProfileType.GREEN:
        # There is no Tariff of type PROFILE_GREEN at these Connectors.
        return ChargingPreferencesResponse.PROFILE_TYPE_NOT_SUPPORTED
    now = session.clock.now()
    if wanted.departure_time is None:
        if wanted.profile_type is ProfileType.CHEAP:
            return ChargingPreferencesResponse.DEPARTURE_REQUIRED
        return ChargingPreferencesResponse.ACCEPTED
    departure = utc(wanted.departure_time)
    if departure <= now:
        return ChargingPreferencesResponse.NOT_POSSIBLE
    if wanted.energy_need is None:
        if wanted.profile_type is ProfileType.CHEAP:
            return ChargingPreferencesResponse.ENERGY_NEED_REQUIRED
        return ChargingPreferencesResponse.ACCEPTED
    evse_watts = session.plug.evse.max_amps * session.plug.watts_per_amp
    possible_kwh = evse_watts * (departure - now).total_seconds() / 3_600_000
    if float(wanted.energy_need) > possible_kwh:
        return ChargingPreferencesResponse.NOT_POSSIBLE
    return ChargingPreferencesResponse.ACCEPTED
