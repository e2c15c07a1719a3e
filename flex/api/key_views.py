"""Keys that an eMSP's back-end mints for its drivers, for hours (SCALE D2.3, 11.1)."""

from datetime import timedelta
from http import HTTPStatus
from typing import Final

from django.conf import settings
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from flex.api import keys
from flex.api.base import FlexView, body_of, nothing
from flex.api.keys import Caller
from flex.api.models import ApiKey, KeyKind, Use
from flex.api.objects import DriverKey, NewDriverKey
from flex.api.problems import conflict, invalid, not_found
from hub.views import answer_json

# Of one eMSP, that have not ended.
MOST: Final = 200_000
_MOST_SHOWN: Final = 1_000


class DriverKeys(FlexView):
    """GET: those of the caller that have not ended, the newest first; POST: another one."""

    use = Use.EMSP

    def get(self, caller: Caller, request: HttpRequest) -> HttpResponse:
        """Without the keys themselves, and without their tokens."""
        return answer_json([_shown(one) for one in _living(caller)[:_MOST_SHOWN]])

    def post(self, caller: Caller, request: HttpRequest) -> HttpResponse:
        """201 with the key, which is in no other answer."""
        wanted = body_of(request, NewDriverKey)
        most = settings.FLEX_DRIVER_KEY_HOURS
        if wanted.hours > most:
            raise invalid(f"hours is at most {most} at this hub.")
        if _living(caller).count() >= MOST:
            raise conflict("TOO_MANY_KEYS", f"{caller.party} has {MOST} keys of drivers; end some.")
        expires_at = timezone.now() + timedelta(hours=wanted.hours)
        new = keys.of_driver(caller, wanted.token_uid, wanted.token_type, expires_at)
        made = _shown(new.key)
        made.key = new.secret
        return answer_json(made, HTTPStatus.CREATED)


class DriverKeyOne(FlexView):
    """DELETE: end a driver's key."""

    use = Use.EMSP

    def delete(self, caller: Caller, request: HttpRequest, prefix: str) -> HttpResponse:
        """204; 404 for one that is not the caller's, or has ended."""
        key = _living(caller).filter(prefix=prefix).first()
        if key is None:
            raise not_found(f"{caller.party} has no such key of a driver.")
        keys.revoke(key)
        return nothing()


def _living(caller: Caller) -> "QuerySet[ApiKey]":
    return ApiKey.objects.filter(
        kind=KeyKind.DRIVER,
        country_code=caller.party.country_code,
        party_id=caller.party.party_id,
        revoked_at__isnull=True,
        expires_at__gt=timezone.now(),
    ).order_by("-created_at")


def _shown(key: ApiKey) -> DriverKey:
    return DriverKey(
        id=key.prefix,
        token_type=key.token_type,
        created_at=key.created_at,
        expires_at=key.expires_at or key.created_at,
        revoked_at=key.revoked_at,
    )
