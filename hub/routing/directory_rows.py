"""The rows that the directory is made of: all of them, or those that changed, in one snapshot.

Each reading is one statement, so it sees one state of the database also inside a transaction that
sees a newer one with each statement.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeVar, cast

import msgspec
from django.db import models

from hub.db import sql
from hub.models import Agreement, Endpoint, Party, Platform
from hub.record.models import BodyRecording

T = TypeVar("T", bound=models.Model)


def _columns(kind: type[models.Model], *names: str) -> tuple[str, ...]:
    """These, in the order in which `from_db` wants them."""
    return tuple(f.attname for f in kind._meta.concrete_fields if f.attname in names)


_PLATFORM: Final = _columns(
    Platform,
    "id",
    "name",
    "token_a_hash",
    "token_c_hash",
    "token_b_encrypted",
    "token_form",
    "fixed_token_form",
    "other_form_not_before",
    "versions_url",
    "ocpi_version",
    "pushes_per_second",
    "is_strict",
    "requests_per_second",
    "is_aggregator",
    "leaves_out_deviations",
    "registered_at",
)
_ENDPOINT: Final = _columns(Endpoint, "platform_id", "identifier", "role", "url")
_PARTY: Final = _columns(
    Party,
    "id",
    "platform_id",
    "country_code",
    "party_id",
    "role",
    "status",
    "admission",
    "is_suspended",
    "is_withdrawn",
)
_AGREEMENT: Final = _columns(
    Agreement,
    "id",
    "country_code_a",
    "party_id_a",
    "country_code_b",
    "party_id_b",
    "module",
    "is_open",
    "note",
)
_RECORDING: Final = _columns(BodyRecording, "id", "country_code", "party_id", "until")
_BYTES: Final = frozenset({"token_a_hash", "token_c_hash", "token_b_encrypted"})
_MOMENTS: Final = frozenset({"registered_at", "other_form_not_before", "until"})


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows that were read at a version; something that is gone has its id, and no row."""

    version: int
    # Everything, whatever was known before.
    is_whole: bool
    platform_ids: frozenset[int]
    platforms: list[Platform]
    endpoints: list[Endpoint]
    parties: list[Party]
    agreement_ids: frozenset[int]
    agreements: list[Agreement]
    # All of them; None when none has changed.
    recordings: list[BodyRecording] | None


def _json(columns: Collection[str], table: str, where: str, order: str = "") -> str:
    """A subquery: the rows as one JSON text."""
    written = (f"encode({name}, 'hex')" if name in _BYTES else name for name in columns)
    return (
        f"(SELECT json_agg(json_build_array({', '.join(written)}) {order})::text "  # noqa: S608 - names of ours
        f"FROM {table} {where})"
    )


def _statement(given: str, known: str, ids: str, conditions: tuple[str, str, str, str]) -> str:
    of_platform, of_its, of_agreement, of_recording = conditions
    return f"""
    {given}
    SELECT coalesce((SELECT version FROM hub_directoryversion WHERE id = 1), 0), {known}, {ids},
        {_json(_PLATFORM, "hub_platform", of_platform)},
        {_json(_ENDPOINT, "hub_endpoint", of_its)},
        {_json(_PARTY, "hub_party", of_its, "ORDER BY id")},
        {_json(_AGREEMENT, "hub_agreement", of_agreement)},
        {_json(_RECORDING, "record_bodyrecording", of_recording)}
    """  # noqa: S608 - names of ours


_ALL: Final = _statement("", "true", "NULL, NULL, true", ("", "", "", ""))
_PLATFORMS: Final = "(ARRAY(SELECT key FROM changed WHERE kind = 'platform'))::bigint[]"
_AGREEMENTS: Final = "(ARRAY(SELECT key FROM changed WHERE kind = 'agreement'))::bigint[]"
_RECORDINGS: Final = "EXISTS (SELECT FROM changed WHERE kind = 'recording')"
# A version that the changes do not name is of another past (a backup), or too old: see Rows.
_CHANGED: Final = _statement(
    """
    WITH changed AS MATERIALIZED (
        SELECT DISTINCT kind, key FROM hub_directorychange WHERE version > %(known)s
    )
    """,
    """
    (EXISTS (SELECT FROM hub_directoryversion WHERE version = %(known)s)
     OR EXISTS (SELECT FROM hub_directorychange WHERE version = %(known)s))
    AND NOT EXISTS (SELECT FROM changed WHERE kind = 'all')
    """,
    f"{_PLATFORMS}, {_AGREEMENTS}, {_RECORDINGS}",
    (
        f"WHERE id = ANY({_PLATFORMS})",
        f"WHERE platform_id = ANY({_PLATFORMS})",
        f"WHERE id = ANY({_AGREEMENTS})",
        f"WHERE {_RECORDINGS}",
    ),
)


def read_all() -> Rows:
    """Everything."""
    return _rows(sql.run(_ALL)[0], is_whole=True)


def read_changed(known: int) -> Rows:
    """The rows that have changed since version `known`; all rows where that cannot be told."""
    row = sql.run(_CHANGED, {"known": known})[0]
    return _rows(row, is_whole=False) if row[1] else read_all()


def _rows(row: tuple[Any, ...], *, is_whole: bool) -> Rows:
    version, _, platform_ids, agreement_ids, has_recordings, *found = row
    platforms, endpoints, parties, agreements, recordings = found
    return Rows(
        version=version,
        is_whole=is_whole,
        platform_ids=frozenset(platform_ids or ()),
        platforms=_objects(Platform, _PLATFORM, platforms),
        endpoints=_objects(Endpoint, _ENDPOINT, endpoints),
        parties=_objects(Party, _PARTY, parties),
        agreement_ids=frozenset(agreement_ids or ()),
        agreements=_objects(Agreement, _AGREEMENT, agreements),
        recordings=_objects(BodyRecording, _RECORDING, recordings) if has_recordings else None,
    )


def _objects(kind: type[T], columns: tuple[str, ...], text: str | None) -> list[T]:
    """The rows as objects that know these columns alone."""
    if text is None:
        return []
    read = [(place, _READ[name]) for place, name in enumerate(columns) if name in _READ]
    objects = []
    for values in msgspec.json.decode(text, type=list[list[Any]]):
        for place, reader in read:
            if values[place] is not None:
                values[place] = reader(values[place])
        objects.append(kind.from_db(None, columns, values))
    return objects


_READ: Final = dict.fromkeys(_BYTES, bytes.fromhex) | dict.fromkeys(
    _MOMENTS, cast("Any", datetime.fromisoformat)
)
