"""How many objects and rewritten URLs one party may have in the hub (docs/operations.md).

Asked for what is new alone, out of memory: each process knows a party's number of a few seconds
ago and what it has added itself since. Every few seconds it writes down what it has added and reads
the sum again, so several processes together let at most so much more in as they add meanwhile.
hub/keeping/recount.py counts anew, which also forgets what was deleted, or rolled back.
"""

import logging
import threading
import time
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Final, TypeVar

from django.conf import settings
from django.db import models, transaction
from django.db.utils import Error

from hub.db import sql
from hub.ocpi.errors import QuotaReached
from hub.ocpi.modules import CURES, OBJECTS

logger = logging.getLogger(__name__)
# A number that was read is asked for again after so many seconds.
READ_AGAIN: Final = 5.0
# What a process knows at most, which is some for each party.
_MOST_KNOWN: Final = 50_000


URLS: Final = "urls"
# What is counted: the objects of a module, by its name, and URLs that the hub has given out.
COUNTED: Final = (*OBJECTS, URLS)
# What a party can do about it itself.
_CURES: Final = CURES | {URLS: "Each URL ends some days after it was given out. "}


class Usage(models.Model):
    """How many rows of one kind a party has, and may have.

    `party` ("NL-CPO") is the owner of the objects, or the aggregator that told them; of URLs whose
    messages they were given out for. `quota` is the operator's word for this party, in place of the
    setting. `refused` counts what was new and not taken.
    """

    party = models.CharField(max_length=6)
    what = models.CharField(max_length=9, choices=[(one, one) for one in COUNTED])
    number = models.BigIntegerField(default=0)
    quota = models.PositiveBigIntegerField(
        null=True, blank=True, help_text="In place of the setting; 0: as many as it likes."
    )
    refused = models.BigIntegerField(default=0)
    refused_at = models.DateTimeField(null=True, blank=True)
    counted_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = "quota"
        constraints = [models.UniqueConstraint(fields=["party", "what"], name="usage_once")]

    def __str__(self) -> str:
        return f"{self.what} of {self.party}"

    @property
    def most(self) -> int:
        """How many there may be; 0: as many as it likes."""
        return most(self.what, self.quota)


def most(what: str, own: int | None = None) -> int:
    """How many of a kind a party may have; 0 for no limit."""
    limit: int = getattr(settings, f"MAX_{what.upper()}_PER_PARTY") if own is None else own
    return limit


@dataclass(slots=True)
class _Known:
    """One party's rows of one kind, as this process knows them."""

    number: int = 0
    own: int | None = None
    read_at: float = -READ_AGAIN
    # Not written down yet.
    added: int = 0
    refused: int = 0


Key = tuple[str, str]
Name = TypeVar("Name", bound=Hashable)
_known: dict[Key, _Known] = {}
_lock = threading.Lock()


def room(party: str, what: str, wanted: int = 1) -> int:
    """How many of `wanted` new ones a party may still have; asks the database now and then."""
    known = _read(party, what)
    limit = most(what, known.own)
    return wanted if not limit else max(0, min(wanted, limit - known.number - known.added))


def seems_full(party: str, what: str) -> bool:
    """Whether a look at `room` is worth its while; asks nobody, so it may say no too often."""
    known = _known.get((party, what))
    if known is None:
        return False
    limit = most(what, known.own)
    return limit > 0 and known.number + known.added >= limit


def check(party: str, what: str) -> None:
    """QuotaReached (2000) when a party may have no more of these."""
    if not room(party, what):
        refuse(party, what)


def refuse(party: str, what: str) -> None:
    """Refuse one that is new, and count it."""
    left_out(party, what, 1)
    name = "URLs that the hub has given out for it" if what == URLS else f"{what} in this hub"
    known = _known.get((party, what))
    raise QuotaReached(
        f"{party} has its quota of {most(what, known.own if known else None)} {name}: no new one "
        "is taken, what is there can be changed. "
        f"{_CURES.get(what, '')}The operator of this hub can give a larger quota."
    )


def beyond(new: Mapping[Name, str], what: str) -> set[Name]:
    """Those of many new ones, each with its party, that exceed a quota; counts them."""
    by_party: dict[str, list[Name]] = {}
    for name, party in new.items():
        by_party.setdefault(party, []).append(name)
    found: set[Name] = set()
    for party, names in by_party.items():
        fitting = room(party, what, len(names))
        if fitting < len(names):
            left_out(party, what, len(names) - fitting)
            found.update(names[fitting:])
    return found


def left_out(party: str, what: str, number: int) -> None:
    """Count what was new and not taken."""
    with _lock:
        _entry(party, what).refused += number


def add(party: str, what: str, number: int = 1) -> None:
    """Count what a party has more by now; negative when some are gone."""
    with _lock:
        _entry(party, what).added += number


def _entry(party: str, what: str) -> _Known:
    known = _known.get((party, what))
    if known is None:
        if len(_known) >= _MOST_KNOWN:
            _forget()
        known = _known[party, what] = _Known()
    return known


def _forget() -> None:
    for key in [key for key, known in _known.items() if not (known.added or known.refused)]:
        del _known[key]


def _read(party: str, what: str) -> _Known:
    with _lock:
        known = _entry(party, what)
        if time.monotonic() - known.read_at < READ_AGAIN:
            return known
        known.read_at = time.monotonic()
    found = sql.run(
        "SELECT number, quota FROM hub_usage WHERE party = %s AND what = %s", [party, what]
    )
    with _lock:
        known.number, known.own = found[0] if found else (0, None)
    return known


# --- Writing it down ------------------------------------------------------------------------------

# In one order for all processes, so that two never wait for each other.
_WRITE: Final = """
    INSERT INTO hub_usage AS kept (party, what, number, refused, refused_at)
    SELECT party, what, number, refused, CASE WHEN refused > 0 THEN statement_timestamp() END
    FROM unnest(%(party)s::text[], %(what)s::text[], %(added)s::bigint[], %(refused)s::bigint[])
         AS sent (party, what, number, refused)
    ORDER BY party, what
    ON CONFLICT (party, what) DO UPDATE
    SET number = kept.number + excluded.number, refused = kept.refused + excluded.refused,
        refused_at = coalesce(excluded.refused_at, kept.refused_at)
    RETURNING party, what, number, quota
"""
_flushing = threading.Lock()


def flush() -> bool:
    """Write down what this process has counted; False, and it is kept, when the database is away.

    What a killed process had not written is found by the next count.
    """
    with _flushing:
        with _lock:
            counted = {
                key: (known.added, known.refused)
                for key, known in _known.items()
                if known.added or known.refused
            }
        if not counted:
            return True
        try:
            with transaction.atomic():
                written = sql.run(
                    _WRITE,
                    {
                        "party": [party for party, _ in counted],
                        "what": [what for _, what in counted],
                        "added": [added for added, _ in counted.values()],
                        "refused": [refused for _, refused in counted.values()],
                    },
                )
        except Error as error:
            # It is told again in some seconds.
            logger.warning("numbers of quotas wait to be written: %s", error)
            return False
        with _lock:
            for party, what, number, own in written:
                key = (party, what)
                known = _entry(*key)
                known.number, known.own, known.read_at = number, own, time.monotonic()
                known.added -= counted[key][0]
                known.refused -= counted[key][1]
        return True
