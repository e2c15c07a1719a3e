"""The tables of the admin API: what is told of each row. No token, no uid, no body is among it."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from django.apps import apps
from django.db.models import Model

from hub.console.documents import callback
from hub.ocpi.masking import hint
from hub.ocpi.modules import SECRET_IDS

Told = str | Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Table:
    """One table of the console: `fields` by the names under which they are told."""

    name: str
    label: str
    what: str
    fields: dict[str, Told]
    # By these a list can be narrowed (`?state=FAILED`), without case.
    filters: tuple[str, ...] = ()
    # Whether rows are made, changed or deleted here, by the console's own forms.
    writes: tuple[str, ...] = ()
    # Rows of others that each row tells.
    with_: tuple[str, ...] = ()

    @property
    def model(self) -> type[Model]:
        """Whose rows they are."""
        return apps.get_model(self.label)

    @property
    def permission(self) -> str:
        """Of Django's, to see it."""
        app, _, model = self.label.partition(".")
        return f"{app}.view_{model}"

    def told(self, row: Any) -> dict[str, Any]:
        """A row as it is answered; what has no value is left out."""
        found = {name: _value(row, how) for name, how in self.fields.items()}
        return {name: value for name, value in found.items() if value is not None}


def _value(row: Any, how: Told) -> Any:
    value = getattr(row, how) if isinstance(how, str) else how(row)
    if value is None or isinstance(value, bool | int | float | Decimal | datetime | list | dict):
        return value
    return str(value)


def _named(*names: str, **more: Told) -> dict[str, Told]:
    return {**{name: name for name in names}, **more}


def _pair(prefix: str = "") -> Callable[[Any], str | None]:
    def told(row: Any) -> str | None:
        country, party = (getattr(row, f"{prefix}{part}") for part in ("country_code", "party_id"))
        return f"{country}-{party}".upper() if party else None

    return told


def _stored_id(row: Any) -> str:
    """A Token's id is the uid by which its driver is known."""
    return hint(row.object_id) if row._meta.label_lower == "ocpi_tokens.token" else row.object_id


def _path(row: Any) -> str:
    if row.module in SECRET_IDS:
        return f"{row.module} {row.interface_role}"
    if row.interface_role:
        return str(row.path)
    return callback(row, is_whole=getattr(row, "is_to_viewer", False))


_STORED: Final = {
    **_named("id", "owner", "audience", "last_updated", "received_at", "deviates"),
    "object_id": _stored_id,
}
_WRITE: Final = ("POST", "PATCH", "DELETE")
TABLES: Final = (
    Table(
        "platforms",
        "hub.platform",
        "Connections, and how each is read",
        _named(
            *("id", "name", "ocpi_version", "invited_at", "registered_at", "pull_rule"),
            *("is_strict", "leaves_out_deviations", "is_aggregator", "requests_per_second"),
            *("pushes_per_second", "fixed_token_form", "versions_url", "remarks"),
            parties=lambda row: sorted({str(one.identity) for one in row.parties.all()}),
        ),
        writes=("PATCH",),
        with_=("parties",),
    ),
    Table(
        "parties",
        "hub.party",
        "Parties, one row a role",
        _named(
            *("id", "role", "name", "status", "admission", "is_suspended", "is_withdrawn"),
            *("last_updated", "platform_id"),
            party=_pair(),
        ),
        ("role", "status", "party_id", "country_code"),
    ),
    Table(
        "agreements",
        "hub.agreement",
        "Which pairs may exchange what",
        _named(
            *("id", "module", "is_open", "note", "last_updated"),
            parties=lambda row: [str(one) for one in row.pair],
        ),
        writes=_WRITE,
    ),
    Table(
        "deliveries",
        "hub.delivery",
        "Messages that the hub owes, or owed",
        _named(
            *("id", "module", "method", "correlation_id", "state", "attempts", "outcome"),
            *("created_at", "ended_at", "resent_at", "is_kept", "receiver_id"),
            sender=_pair("from_"),
            receiver=_pair("to_"),
            path=_path,
        ),
        ("state", "module", "to_party_id", "from_party_id", "correlation_id", "receiver_id"),
    ),
    Table(
        "stale-copies",
        "hub.stalecopy",
        "Objects of which a receiver's copy is stale",
        _named(
            *("id", "receiver_id", "party", "module", "owner", "state", "outcome", "first_at"),
            *("raised", "is_deleted", "correlation_id"),
            object_id="shown_id",
        ),
        ("state", "module", "owner", "party", "receiver_id"),
    ),
    Table(
        "quotas",
        "hub.usage",
        "What each party has in the hub, of how much",
        _named("id", "party", "what", "number", "quota", "most", "refused", "refused_at"),
        ("party", "what"),
        ("PATCH",),
    ),
    Table(
        "checks",
        "conformance.conformancecheck",
        "Conformance checks",
        _named(
            *("id", "platform_id", "is_pushing", "created_at", "ended_at", "problem", "passed"),
            *("failed", "not_tried", "findings"),
            party=_pair(),
        ),
        ("party_id", "country_code"),
    ),
    Table(
        "deviations",
        "deviations.deviationcount",
        "What platforms send that differs from the text",
        _named("id", "platform_id", "rule", "path", "number", "first_at", "last_at", "example"),
        ("platform_id", "rule"),
    ),
    Table(
        "sessions",
        "ocpi_sessions.session",
        "Charging sessions; the driver's token is not told",
        _named(
            *("id", "session_id", "status", "location_id", "evse_uid", "last_updated"),
            *("received_at", "is_accepted"),
            cpo=_pair(),
            emsp=_pair("emsp_"),
        ),
        ("status", "party_id", "emsp_party_id", "session_id", "location_id"),
    ),
    Table(
        "profile-commands",
        "ocpi_charging_profiles.profilecommand",
        "Commands of flexibility providers",
        _named(
            *("id", "method", "session_id", "state", "result", "problem", "purpose", "epoch"),
            *("correlation_id", "created_at", "answered_at", "answer_http_status", "result_at"),
            *("is_late",),
            fsp=_pair("fsp_"),
            cpo=_pair("cpo_"),
        ),
        ("state", "session_id", "correlation_id", "fsp_party_id", "cpo_party_id"),
    ),
    Table("locations", "ocpi_locations.location", "Locations", _STORED, ("owner", "object_id")),
    Table("tariffs", "ocpi_tariffs.tariff", "Tariffs", _STORED, ("owner", "object_id")),
    Table("tokens", "ocpi_tokens.token", "Tokens, masked", {**_STORED, "type": "type"}, ("owner",)),
    Table("cdrs", "ocpi_cdrs.cdr", "CDRs, without their drivers", _STORED, ("owner", "object_id")),
    Table(
        "preferences",
        "flex.preferencecopy",
        "What drivers want",
        _named(
            *("id", "session_id", "profile_type", "departure_time", "energy_need"),
            *("discharge_allowed", "cpo_answer", "cpo_http_status", "received_at"),
        ),
        ("session_id",),
    ),
    Table(
        "flex-agreements",
        "flex.flexagreement",
        "Words on who may be flexibility provider",
        _named(
            *("id", "kind", "said_by", "location_id", "session_id", "consent_by", "consented_at"),
            *("valid_from", "valid_until", "is_active", "created_at"),
            fsp=_pair("fsp_"),
            cpo=_pair("cpo_"),
            emsp=_pair("emsp_"),
            is_for_one_token=lambda row: bool(row.token_uid),
        ),
        ("is_active", "fsp_party_id", "cpo_party_id", "emsp_party_id"),
        ("POST", "PATCH"),
    ),
    Table(
        "flex-exclusions",
        "flex.flexexclusion",
        "Whom CPOs exclude",
        _named("id", "is_active", "created_at", cpo=_pair("cpo_"), fsp=_pair("fsp_")),
        ("is_active", "cpo_party_id"),
        ("POST", "PATCH"),
    ),
    Table(
        "fsp-assignments",
        "flex.fspassignment",
        "Who is, or was, flexibility provider of a session",
        _named(
            *("id", "session_id", "kind", "epoch", "reason", "started_at", "ended_at"),
            *("end_reason",),
            fsp=_pair("fsp_"),
        ),
        ("session_id", "fsp_party_id"),
    ),
    Table(
        "fsp-switches",
        "flex_switching.fspswitch",
        "Changes of flexibility provider, step by step",
        _named(
            *("id", "session_id", "former", "new", "epoch", "because", "step", "why", "since"),
            *("ended_at", "needs_attention"),
        ),
        ("session_id", "step", "needs_attention"),
    ),
    Table(
        "cpo-slots",
        "flex_switching.cposlots",
        "How many profiles CPOs keep of a session",
        _named("id", "told", "one_seen", "per_sender_seen", "changed_at", cpo=_pair()),
        (),
        ("POST", "PATCH"),
    ),
    Table(
        "hub-commands",
        "flex_life.hubcommand",
        "Commands of the hub's own",
        _named(
            *("id", "session_id", "wish", "why", "step", "since", "attempts", "outcome"),
            *("ended_at",),
            fsp=_pair("fsp_"),
        ),
        ("session_id", "step"),
    ),
    Table(
        "effects",
        "flex_knowledge.profileeffect",
        "What accepted profiles have done",
        _named("command_id", "session_id", "cpo", "effect", "because", "accepted_at", "known_at"),
        ("session_id", "cpo", "effect"),
    ),
    Table(
        "sites",
        "flex_api.site",
        "Sites of CPOs",
        _named(
            *("id", "name", "rejects_breaches", "created_at"),
            cpo=_pair(),
            members=lambda row: [str(one) for one in row.members.all()],
        ),
        ("party_id", "name"),
        _WRITE,
        ("members",),
    ),
    Table(
        "body-recordings",
        "record.bodyrecording",
        "Whose messages are recorded with their bodies, and until when",
        _named("id", "until", "begun_at", party=_pair()),
        (),
        _WRITE,
    ),
    Table(
        "erasures",
        "hub.erasure",
        "Erasures of drivers' data",
        _named("id", "erased_at", "erased_by", "emsp", "are_cdrs_deleted", "counts", "left"),
        ("emsp",),
    ),
    Table(
        "flex-keys",
        "flex_api.apikey",
        "Keys of the flex API, without their secrets",
        _named(
            *("id", "prefix", "kind", "name", "uses", "made_by", "created_at", "expires_at"),
            *("revoked_at", "last_used_at"),
            party=_pair(),
        ),
        ("kind", "party_id"),
    ),
    Table(
        "audit",
        "access.auditentry",
        "The audit trail",
        _named(
            *("id", "at", "way", "who", "address", "act", "about", "object_id", "object_name"),
            *("detail", "is_refused"),
        ),
        ("who", "way", "act", "about", "object_id"),
    ),
)
BY_NAME: Final = {table.name: table for table in TABLES}
