"""What the EVSE said about a profile, as a CPO posts it (mod_charging_profiles, Sender)."""

import logging
from typing import Final

from charging_profiles.models import ProfileCommand
from charging_profiles.objects import ChargingProfileResultType
from hub.ocpi import headers, results
from hub.ocpi.datatypes import check_json
from hub.ocpi.errors import InvalidParameters
from hub.views import RelatedAnswer, answer

logger = logging.getLogger(__name__)
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


def answer_to(command: ProfileCommand, result: str, *, is_first: bool) -> RelatedAnswer:
    """What the CPO is told of the result that it has posted; and the log."""
    logger.info(
        "%s result %s of profile command %s from %s, correlation %s",
        command.method,
        result if is_first else "repeated",
        command.pk,
        command.cpo,
        command.correlation_id,
    )
    said = answer(message=None if is_first else "This result had been received already.")
    response = RelatedAnswer(said, command.correlation_id)
    # "any request/response to/from a Functional Module"; the gateway cannot know whose it is.
    response[headers.TO_COUNTRY_CODE] = command.cpo_country_code
    response[headers.TO_PARTY_ID] = command.cpo_party_id
    response[headers.FROM_COUNTRY_CODE] = command.fsp_country_code
    response[headers.FROM_PARTY_ID] = command.fsp_party_id
    return response
