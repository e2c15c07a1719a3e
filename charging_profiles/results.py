"""What the EVSE said about a profile, as a CPO posts it (mod_charging_profiles, Sender)."""

from typing import Final

from charging_profiles.objects import ChargingProfileResultType
from hub.ocpi import results
from hub.ocpi.datatypes import check_json
from hub.ocpi.errors import InvalidParameters

# A result that OCPI does not know; the command has ended with it all the same.
OTHER: Final = "OTHER"


def result_of(body: bytes) -> str:
    """As ChargingProfileResultType has it, or OTHER.

    InvalidParameters (2001) for what says nothing: the CPO is still to tell. NotJson for no body.
    """
    check_json(body)
    word = results.result_of(body)
    if not word:
        raise InvalidParameters(
            "result is required: one of " + ", ".join(ChargingProfileResultType) + "."
        )
    return word if word in ChargingProfileResultType.__members__ else OTHER
