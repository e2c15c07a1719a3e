"""Roles of the console and of the admin API: one table of what each may (docs/operations.md).

A permission is Django's (`hub.view_party`) or one of ours (`hub.check_party`). What is not named
here is not allowed, except to operators, who may all that is not an administrator's.
"""

from collections.abc import Collection
from typing import Any, Final

from django.contrib.auth.backends import ModelBackend
from django.db.models import TextChoices


class Role(TextChoices):
    """What an account is for; a superuser is an administrator, and needs none."""

    OPERATOR = "OPERATOR", "operator"
    READER = "READER", "read-only"
    PRIVACY = "PRIVACY", "privacy"
    PARTY = "PARTY", "a party's own staff"


# Of administrators alone: accounts, what they may, their keys. The trail is read by others too.
_ADMINISTRATORS: Final = ("auth", "access")
# Ours, beside those that Django has for each table.
OVERVIEW: Final = "hub.view_overview"
METRICS: Final = "hub.view_metrics"
CHECK: Final = "hub.check_party"
RESEND: Final = "hub.resend_delivery"
MESSAGES: Final = "record.view_message"
AUDIT: Final = "access.view_auditentry"
ERASE: Final = "hub.add_erasure"
# Who was given a permission of Django's alone has these with it.
_IMPLIED_BY: Final = {
    OVERVIEW: "hub.view_platform",
    METRICS: "hub.view_platform",
    CHECK: "hub.change_party",
    RESEND: "hub.change_platform",
}
_NETWORK: Final = ("platform", "party", "agreement", "stalecopy", "delivery", "usage")
_FLEXIBILITY: Final = (
    *("flex.flexagreement", "flex.flexexclusion", "flex.fspassignment", "flex_api.site"),
    *("flex_switching.fspswitch", "flex_switching.cposlots", "flex_life.hubcommand"),
    *("flex_life.spacing", "flex_life.nottaken", "flex_knowledge.profileeffect"),
)
_DRIVERS: Final = (
    *("ocpi_sessions.session", "ocpi_charging_profiles.profilecommand", "flex.preferencecopy"),
    *("flex_api.prepared", "ocpi_tokens.token", "ocpi_cdrs.cdr"),
)


def _view(*tables: str) -> frozenset[str]:
    return frozenset(".view_".join(table.split(".")) for table in tables)


_MAY: Final = {
    Role.READER: _view(
        *(f"hub.{name}" for name in _NETWORK),
        *("conformance.conformancecheck", "deviations.deviationcount"),
        *("alerts.alert", "alerts.rule", "alerts.target"),
        *_FLEXIBILITY,
        *_DRIVERS,
        *("ocpi_locations.location", "ocpi_tariffs.tariff"),
    )
    | {OVERVIEW, METRICS, MESSAGES},
    Role.PRIVACY: _view(*_DRIVERS, "hub.erasure", "record.bodyrecording")
    | {MESSAGES, ERASE, AUDIT, "record.delete_bodyrecording"},
    # All of them row by row: hub/console/access/scope.py.
    Role.PARTY: _view(
        *("hub.party", "hub.delivery", "conformance.conformancecheck"),
        "deviations.deviationcount",
    )
    | {MESSAGES, CHECK, RESEND},
}


def allows(role: Role, permission: str) -> bool:
    """Whether accounts of this role may do that."""
    if role is Role.OPERATOR:
        return permission.partition(".")[0] not in _ADMINISTRATORS or permission == AUDIT
    return permission in _MAY[role]


def role_of(user: Any) -> Role | None:
    """None for an administrator, and for who was given permissions one by one."""
    account = account_of(user)
    return None if account is None else Role(account.role)


def parties_of(user: Any) -> Collection[str] | None:
    """Of whose staff an account is ("NL-ABC"); None: it sees all parties."""
    account = account_of(user)
    return account.parties if account is not None and account.role == Role.PARTY else None


def account_of(user: Any) -> Any:
    """Looked up once a request; of an administrator it does not count."""
    if user is None or not user.is_authenticated or user.is_superuser:
        return None
    if not hasattr(user, "_role_at_console"):
        user._role_at_console = getattr(user, "account", None)
    return user._role_at_console


class RoleBackend(ModelBackend):
    """Django's own, by role; who is of a party's staff has nothing beside."""

    def has_perm(self, user_obj: Any, perm: str, obj: Any = None) -> bool:
        """By the table above, or as it was given to this account alone."""
        if not user_obj.is_active:
            return False
        role = role_of(user_obj)
        if role is not None and allows(role, perm):
            return True
        if role is Role.PARTY:
            return False
        if super().has_perm(user_obj, perm, obj):
            return True
        return perm in _IMPLIED_BY and super().has_perm(user_obj, _IMPLIED_BY[perm], obj)

    def has_module_perms(self, user_obj: Any, app_label: str) -> bool:
        """Whether there is anything of an app that the account may."""
        if not user_obj.is_active:
            return False
        role = role_of(user_obj)
        if role is Role.OPERATOR and app_label not in _ADMINISTRATORS:
            return True
        if role in _MAY and any(one.startswith(f"{app_label}.") for one in _MAY[role]):
            return True
        return role is not Role.PARTY and bool(super().has_module_perms(user_obj, app_label))
