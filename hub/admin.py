"""What django.contrib.admin finds: the pages of hub/console, which is the only one to know all."""

from hub.console import (
    accounts,
    agreements,
    charging,
    deliveries,
    erasures,
    flexibility,
    platforms,
    profile_commands,
)

__all__ = (
    "accounts",
    "agreements",
    "charging",
    "deliveries",
    "erasures",
    "flexibility",
    "platforms",
    "profile_commands",
)
