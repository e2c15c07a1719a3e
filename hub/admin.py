"""What django.contrib.admin finds: the pages of hub/console, which is the only one to know all."""

from hub.console import (
    accounts,
    agreements,
    body_recordings,
    conformance,
    deliveries,
    erasures,
    flex_agreements,
    hub_commands,
    objects,
    owed,
    parties,
    platforms,
    preferences,
    profile_commands,
    quotas,
    sessions_page,
)

__all__ = (
    "accounts",
    "agreements",
    "body_recordings",
    "conformance",
    "deliveries",
    "erasures",
    "flex_agreements",
    "hub_commands",
    "objects",
    "owed",
    "parties",
    "platforms",
    "preferences",
    "profile_commands",
    "quotas",
    "sessions_page",
)
