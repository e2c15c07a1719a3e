"""Settings that are read for each message.

Django keeps the value of a setting in the object's own dictionary once it was asked for, and drops
it there when the setting is changed; to ask for an attribute costs four times as much.
"""

from typing import Any

from django.conf import settings

_known = vars(settings)


def setting(name: str) -> Any:
    """The value that it has now."""
    value = _known.get(name)
    return getattr(settings, name) if value is None else value
