"""What django.contrib.admin finds: the pages of hub/console, which is the only one to know all."""

from hub.console import (
    accounts,
    agreements,
    body_recordings,
    charging,
    conformance,
    deliveries,
    erasures,
    flexibility,
    owed,
    parties,
    platforms,
    profile_commands,
    quotas,
    stored,
)

__all__ = (
    "accounts",
    "agreements",
    "body_recordings",
    "charging",
    "conformance",
    "deliveries",
    "erasures",
    "flexibility",
    "owed",
    "parties",
    "platforms",
    "profile_commands",
    "quotas",
    "stored",
)
