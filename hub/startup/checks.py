"""System checks: wrong setups are told at start-up, not found out later."""

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, register
from django.core.checks import Warning as SetupWarning

from hub.ocpi import own_paths
from hub.ocpi.party import PartyId


@register()
def check_setup(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Who the hub is, and whether its public address is safe to give out."""
    found: list[CheckMessage] = []
    try:
        PartyId.of(settings.HUB_COUNTRY_CODE, settings.HUB_PARTY_ID)
    except ValueError as error:
        found.append(Error(f"HUB_COUNTRY_CODE and HUB_PARTY_ID: {error}", id="flexhub.E001"))
    if settings.BYTES_PER_PLATFORM < 2 * settings.MAX_ANSWER_BYTES:
        found.append(
            Error(
                "BYTES_PER_PLATFORM must be twice MAX_ANSWER_BYTES at least: half of it is between "
                "two platforms, and a single answer has to fit.",
                id="flexhub.E003",
            )
        )
    if not settings.IS_TRIAL and not settings.BASE_URL.startswith("https:"):
        found.append(
            SetupWarning(
                "PUBLIC_URL is not https: credentials tokens travel in the clear.",
                id="flexhub.W001",
            )
        )
    if not settings.IS_TRIAL and not settings.TRUSTED_PROXIES:
        found.append(
            SetupWarning(
                "PUBLIC_URL is set and TRUSTED_PROXIES is not: all who come through a proxy have "
                "one address, and one of them who guesses passwords keeps the others waiting.",
                id="flexhub.W002",
            )
        )
    if len(settings.BASE_URL + own_paths.PROFILE_RESULT.path("")) + 32 > 255:
        found.append(Error("PUBLIC_URL is too long for OCPI's URL type.", id="flexhub.E002"))
    return found
