"""The audit trail: written here, from the console, the admin API and manage.py.

Never a secret in it: names of fields that were changed, not what they hold; no token, no uid.
"""

import getpass
from typing import Any, Final, Protocol

from django.db.models import Model
from django.http import HttpRequest

from hub.console.access.models import AuditEntry, Way
from hub.db.django_threads import CALLER


class Row(Protocol):
    """A row, or what is left of it."""

    _meta: Any
    pk: Any


class Former:
    """A row as it was: it may be deleted by now."""

    def __init__(self, kind: type[Model], pk: str, name: str) -> None:
        self._meta = kind._meta
        self.pk = pk
        self._name = name

    def __str__(self) -> str:
        return self._name


# In `request.META`: entries of the request, for hub/console/access/trail.py.
_NOTED: Final = "flexhub.audited"


def address_of(request: HttpRequest) -> str:
    """Whence a request comes, also behind a proxy."""
    return str(request.META.get(CALLER) or request.META.get("REMOTE_ADDR") or "")[:49]


def record(
    way: Way,
    who: str,
    act: str,
    about: Row | str = "",
    *,
    detail: str = "",
    address: str = "",
    is_refused: bool = False,
) -> AuditEntry:
    """Write an entry; `about` is a row, or the name of what is not one."""
    table, key, name = _named(about)
    return AuditEntry.objects.create(
        way=way,
        who=who[:150],
        address=address,
        act=act[:80],
        about=table,
        object_id=key,
        object_name=name,
        detail=detail[:500],
        is_refused=is_refused,
    )


def _named(about: Row | str) -> tuple[str, str, str]:
    if isinstance(about, str):
        return "", "", about[:200]
    key = "" if about.pk is None else str(about.pk)[:100]
    return about._meta.label_lower[:80], key, str(about)[:200]


def note(
    request: HttpRequest, act: str, about: Row | str = "", *, detail: str = "", who: str = ""
) -> None:
    """Write what somebody at the console has done, in place of what the request would tell."""
    request.META[_NOTED] = True
    record(
        Way.CONSOLE,
        who or request.user.get_username(),
        act,
        about,
        detail=detail,
        address=address_of(request),
    )


def is_noted(request: HttpRequest) -> bool:
    """Whether the view has told itself what was done."""
    return bool(request.META.get(_NOTED))


def at_the_command_line() -> str:
    """The account of the machine."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return "unknown"


def of_command(act: str, about: Row | str = "", **told: Any) -> None:
    """Write what was done by manage.py."""
    record(Way.COMMAND, at_the_command_line(), act, about, **told)
