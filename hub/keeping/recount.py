"""Counts anew what each party has, against its quotas (hub/models/quotas.py).

It finds what was deleted, rolled back, or not written by a process that was killed.
"""

from typing import Final

from django.db import transaction
from django.utils import timezone

from cdrs.models import Cdr
from hub.db import sql
from hub.models.quotas import URLS, Usage
from hub.store.kinds import broadcast_kinds
from sessions.models import Session


def _objects(table: str) -> str:
    """By owner out of an index alone; what aggregators told, out of the index of just that."""
    return f"""
        SELECT party, sum(number)::bigint FROM (
            SELECT owner AS party, count(*) AS number FROM {table} GROUP BY owner
            UNION ALL
            SELECT owner, -count(*) FROM {table} WHERE told_by <> '' GROUP BY owner
            UNION ALL
            SELECT told_by, count(*) FROM {table} WHERE told_by <> '' GROUP BY told_by
        ) AS counted GROUP BY party
    """  # noqa: S608 - names of our own tables


def _counts() -> dict[str, str]:
    """By what is counted, the statement that says how many each party has."""
    return {
        **{module: _objects(kind._meta.db_table) for module, kind in broadcast_kinds().items()},
        Session.MODULE: (
            "SELECT upper(country_code || '-' || party_id), sum(number)::bigint FROM ("
            "SELECT country_code, party_id, count(*) AS number FROM ocpi_sessions_session "
            "GROUP BY country_code, party_id) AS counted GROUP BY 1"
        ),
        Cdr.MODULE: "SELECT owner, count(*) FROM ocpi_cdrs_cdr GROUP BY owner",
        URLS: "SELECT sender, count(*) FROM hub_forwardedurl WHERE sender <> '' GROUP BY sender",
    }


_WRITE: Final = """
    INSERT INTO hub_usage AS kept (party, what, number, refused, counted_at)
    SELECT party, what, number, 0, statement_timestamp()
    FROM unnest(%(party)s::text[], %(what)s::text[], %(number)s::bigint[])
         AS sent (party, what, number)
    ORDER BY party, what
    ON CONFLICT (party, what) DO UPDATE
    SET number = excluded.number, counted_at = excluded.counted_at
"""


def count_anew() -> None:
    """Count all of them; a row that says nothing any more ends."""
    for what, query in sorted(_counts().items()):
        counts = [(party, number) for party, number in sql.run(query) if number > 0]
        there = [party for party, _ in counts]
        with transaction.atomic():
            sql.run(
                _WRITE,
                {
                    "party": there,
                    "what": [what] * len(there),
                    "number": [number for _, number in counts],
                },
            )
        with transaction.atomic():
            gone = Usage.objects.filter(what=what).exclude(party__in=there)
            for usage in gone.order_by("party").select_for_update():
                if usage.quota is None and not usage.refused:
                    usage.delete()
                else:
                    usage.number, usage.counted_at = 0, timezone.now()
                    usage.save(update_fields=["number", "counted_at"])
