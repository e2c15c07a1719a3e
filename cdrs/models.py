"""CDRs as the hub keeps them, each with its eMSP's answer (mod_cdrs, Flow and Lifecycle)."""

import hashlib
import string
from contextlib import nullcontext
from datetime import datetime
from typing import Any, Final, NamedTuple
from urllib.parse import quote

import msgspec
from django.conf import settings
from django.db import models, transaction
from django.db.models.functions import Now
from django.utils import timezone

from cdrs import without_driver
from hub.db import leases, sql
from hub.db.leases import Lease, Leased
from hub.models import quotas
from hub.ocpi import envelope, heads, lenient
from hub.ocpi.errors import InvalidParameters
from hub.ocpi.party import PartyId
from hub.outbound.forwarded import InOneMoment
from hub.outbound.platform_calls import Response
from hub.store.store import StoredObject

# How much longer than the call itself a process may need before it counts as dead.
GRACE: Final = 5.0  # seconds


class Cdr(StoredObject):
    """A CDR that its eMSP has taken; `audience` is that eMSP.

    "it cannot be changed or replaced once sent": the answer is kept too, so that a CDR which is
    sent again gets the outcome that is known already.
    """

    MODULE = "cdrs"

    answer_status = models.PositiveSmallIntegerField()
    answer_body = models.BinaryField()
    # The URL of the CDR at its eMSP; empty when the eMSP told none.
    answer_location = models.CharField(max_length=2048, blank=True)

    class Meta:
        verbose_name = "CDR"
        constraints = [
            models.UniqueConstraint(fields=["owner", "object_id", "audience"], name="cdr_once")
        ]
        indexes = [
            # Lists and counts of a party, out of these alone: no column of a CDR ever changes.
            models.Index(
                fields=["owner", "id"], include=["last_updated"], name="cdr_list_of_owner"
            ),
            models.Index(
                fields=["audience", "id"],
                include=["owner", "last_updated"],
                name="cdr_list_of_emsp",
            ),
            models.Index(fields=["last_updated"], name="cdr_by_last_updated"),
            models.Index(fields=["received_at"], name="cdr_by_age"),
        ]

    @classmethod
    def visible_to(cls, viewer: PartyId) -> "models.QuerySet[Cdr]":
        """The CDRs of a CPO, and those of an eMSP's drivers."""
        return cls.objects.filter(models.Q(owner=str(viewer)) | models.Q(audience=str(viewer)))

    @classmethod
    def lists_of(cls, viewer: PartyId) -> "list[models.QuerySet[Cdr]]":
        """The same as lists that share no row, each with an index of its own."""
        taken = cls.objects.filter(audience=str(viewer)).exclude(owner=str(viewer))
        return [cls.objects.filter(owner=str(viewer)), taken]

    @classmethod
    def at(cls, owner: PartyId, emsp: PartyId, cdr_id: str) -> "Cdr | None":
        """The CDR of this id, when that eMSP has taken one."""
        named = identity(owner, cdr_id)
        found = sql.rows(
            cls,
            f"SELECT {sql.columns(cls)} FROM ocpi_cdrs_cdr "  # noqa: S608 - columns of ours
            "WHERE owner = %s AND object_id = %s AND audience = %s",
            (named["owner"], named["object_id"], str(emsp)),
        )
        return found[0] if found else None

    @classmethod
    def taken(cls, owner: PartyId, emsp: PartyId, body: bytes, response: Response) -> None:
        """Keep what its eMSP has accepted, however it is spelled: a CDR, or each of several."""
        bills = Bill.all_in(body)
        if not bills or not envelope.is_accepted(response.status, response.body):
            return
        location = response.headers.get("location", "").encode("utf-8", "surrogateescape")
        sql.insert_all(
            [
                Cdr(
                    **identity(owner, bill.id),
                    audience=str(emsp),
                    document=bill.document,
                    last_updated=bill.last_updated or timezone.now(),
                    answer_status=response.status,
                    answer_body=response.body,
                    answer_location=quote(location, safe=string.punctuation)[:2048],
                )
                for bill in bills
            ],
            ignore_conflicts=True,
        )
        quotas.add(str(owner), Cdr.MODULE, len(bills))

    def answer_again(self, document: bytes) -> Response:
        """The eMSP's answer to the same CDR; InvalidParameters (2001) for another of its id."""
        if not self._is(document):
            raise InvalidParameters(
                f"{self.audience} has taken another CDR of this id already, and a CDR cannot be "
                "changed or replaced once sent: send a Credit CDR, then a CDR with a new id."
            )
        found = {"content-type": "application/json"}
        if self.answer_location:
            found["location"] = self.answer_location
        return Response(self.answer_status, found, bytes(self.answer_body))

    def _is(self, document: bytes) -> bool:
        """Whether it is this CDR; one whose driver was erased is compared without its driver."""
        kept = bytes(self.document)
        if without_driver.is_of_nobody(kept):
            document = without_driver.without_driver(document, PartyId.parse(self.audience))
        return _is_same(kept, document)


class CheckResult(models.TextChoices):
    """What a CDR bills, beside what its Tariffs say."""

    AS_PRICED = "AS_PRICED", "as its Tariffs say"
    DIFFERENT = "DIFFERENT", "differs"
    UNCLEAR = "UNCLEAR", "cannot be said"


class CdrCheck(models.Model):
    """A CDR computed anew (cdrs/checking.py). It stands apart: no column of a CDR ever changes."""

    # Its constraint is in the migration: it ends with its CDR, of which nothing has to be read.
    cdr = models.OneToOneField(
        Cdr,
        on_delete=models.DO_NOTHING,
        primary_key=True,
        related_name="priced",
        db_constraint=False,
    )
    result = models.CharField(max_length=9, choices=CheckResult.choices)
    # Why it cannot be said.
    reason = models.CharField(max_length=255, blank=True)
    # Of each field that differs: `field`, `billed`, `computed` (amounts as text), `elements`.
    differences = models.JSONField(default=list)
    checked_at = models.DateTimeField(db_default=Now())

    class Meta:
        verbose_name = "check of a CDR"
        indexes = [
            models.Index(
                fields=["cdr"], condition=models.Q(result="DIFFERENT"), name="cdr_check_different"
            )
        ]

    def __str__(self) -> str:
        return f"{self.cdr_id}: {self.result}"


class Posting(Leased):
    """A CDR that is on its way to its eMSP: the same one, sent again meanwhile, waits for it.

    The row ends with the answer; after a process that died, with its lease.
    """

    owner = models.CharField(max_length=6)
    object_id = models.CharField(max_length=39)
    emsp = models.CharField(max_length=6)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["owner", "object_id", "emsp"], name="posting_once")
        ]

    def __str__(self) -> str:
        return f"{self.owner} {self.object_id} to {self.emsp}"

    @classmethod
    def begin(cls, owner: PartyId, emsp: PartyId, body: bytes) -> Response | Lease | None:
        """Take the CDR on its way, or give the answer that is known already.

        Its lease lasts as long as the call may, and is not renewed. InOneMoment while the same CDR
        is on its way. InvalidParameters (2001) for somebody else's CDR, and for one that would
        replace another; QuotaReached for one too many. What is not an object is left to its
        receiver. Several in a list, which the text does not know, go as one: all of them are new,
        or all were taken.
        """
        bills = Bill.all_in(body)
        if not bills:
            return None
        for bill in bills:
            bill.check_owner(owner)
        known = cls._known(owner, emsp, bills)
        if known is None:
            if quotas.room(str(owner), Cdr.MODULE, len(bills)) < len(bills):
                quotas.refuse(str(owner), Cdr.MODULE)
            lease = cls._claim(owner, emsp, sorted(bill.id for bill in bills))
            # Another process may have ended between the look and the claim.
            try:
                known = cls._known(owner, emsp, bills)
            except InvalidParameters:
                cls.end(lease)
                raise
            if known is None:
                return lease
            cls.end(lease)
        return known

    @classmethod
    def _known(cls, owner: PartyId, emsp: PartyId, bills: "list[Bill]") -> Response | None:
        """The known answer to these CDRs; None when all are new."""
        found = [(bill, Cdr.at(owner, emsp, bill.id)) for bill in bills]
        answers = [known.answer_again(bill.document) for bill, known in found if known is not None]
        if answers and len(answers) < len(bills):
            taken = ", ".join(bill.id for bill, known in found if known is not None)
            raise InvalidParameters(
                f"{emsp} has taken some CDRs of this list already ({taken[:200]}): POST "
                "each of the others by itself, one CDR in a message."
            )
        return answers[0] if answers else None

    @classmethod
    def _claim(cls, owner: PartyId, emsp: PartyId, ids: list[str]) -> Lease:
        """Claim all of them or none, under one fence."""
        seconds = settings.FORWARD_TIMEOUT + GRACE
        asked = leases.clock()
        with transaction.atomic() if len(ids) > 1 else nullcontext():
            claimed = sql.run(_CLAIM, (str(owner), str(emsp), float(seconds), ids))
            if len(claimed) < len(ids):
                raise InOneMoment
        return Lease(claimed[0][0], asked, seconds)

    @classmethod
    def end(cls, lease: Lease | None) -> None:
        """End its way: it was answered, or its outcome will never be known."""
        if lease is not None:
            sql.run("DELETE FROM ocpi_cdrs_posting WHERE fence = %s", (lease.fence,))

    @classmethod
    def answered(
        cls,
        owner: PartyId,
        emsp: PartyId,
        body: bytes,
        response: Response,
        lease: Lease | None,
    ) -> None:
        """Keep what was accepted; then a waiting repetition may look at it."""
        try:
            Cdr.taken(owner, emsp, body, response)
        finally:
            cls.end(lease)


# With what is told of a posting, and what comes back.
CLAIM: Final = f"""
WITH claim AS MATERIALIZED (SELECT {leases.NEXT_FENCE} AS fence)
INSERT INTO ocpi_cdrs_posting AS old (owner, object_id, emsp, fence, lease_until)
SELECT {{owner}}, named.id, {{emsp}}, claim.fence,
       {leases.NOW} + {{seconds}} * interval '1 second'
FROM claim, {{ids}} AS named (id)
ON CONFLICT (owner, object_id, emsp) DO UPDATE
SET fence = excluded.fence, lease_until = excluded.lease_until WHERE {leases.free("old")}
RETURNING {{fence}}
"""  # noqa: S608 - columns of ours
_CLAIM: Final = CLAIM.format(
    owner="%s", emsp="%s", seconds="%s", ids="unnest(%s::text[])", fence="fence"
)


def identity(owner: PartyId, cdr_id: str) -> dict[str, str]:
    """The columns that identify a CDR."""
    return {"owner": str(owner), "object_id": cdr_id.upper()}


class _Head(msgspec.Struct):
    """The fields that the hub reads of a CDR."""

    id: Any = None
    country_code: Any = None
    party_id: Any = None
    last_updated: Any = None


_read = heads.reader(_Head)


class Bill(NamedTuple):
    """What the hub reads of a CDR: its name, in upper case, and its `last_updated`."""

    document: bytes
    id: str
    owner: tuple[str, str]
    last_updated: datetime | None

    @classmethod
    def all_in(cls, body: bytes) -> "list[Bill]":
        """The CDR of a POST, or each one of a list; none where there is no object.

        One without an id, or with one that no column takes, is known by what it says: the same one
        sent again is the same bill. One that stands in a list twice is one; InvalidParameters
        (2001) for two of one id.
        """
        found: dict[str, Bill] = {}
        for document in heads.objects_of(body):
            head = _read(document)
            owner = (heads.text(head.country_code), heads.text(head.party_id))
            moment = lenient.moment(head.last_updated)
            bill = cls(document, _name(head, document), owner, moment)
            if not _is_same(found.setdefault(bill.id, bill).document, document):
                raise InvalidParameters(
                    f"Two CDRs of the list have the id {bill.id[:40]!r}, and differ."
                )
        return list(found.values())

    def check_owner(self, sender: PartyId) -> None:
        """Refuse (2001) a CDR that names another CPO than its sender; it may name none."""
        for name, value, expected in zip(sender._fields, self.owner, sender, strict=True):
            if value and value.upper() != expected:
                raise InvalidParameters(
                    f"{name} of the CDR is {value[:40]!r}, but OCPI-from is {sender}: "
                    "a CPO sends only its own CDRs."
                )


def _name(head: _Head, document: bytes) -> str:
    longest = Cdr._meta.get_field("object_id").max_length or 0
    name = heads.text(head.id, len(document)).upper()
    if 0 < len(name) <= longest:
        return name
    digest = hashlib.sha256(name.encode() if name else _canonical(document)).hexdigest()
    return f"#{digest}"[:longest].upper()


def _canonical(document: bytes) -> bytes:
    """The same text for two spellings of one bill, where nothing else identifies it."""
    try:
        value = _decode(document)
    except msgspec.DecodeError:
        return document
    if isinstance(value, dict):
        value.pop("last_updated", None)
    return msgspec.json.encode(value, order="deterministic")


_decode = msgspec.json.Decoder(float_hook=lenient.decimal).decode


def _is_same(one: bytes, other: bytes) -> bool:
    """Whether two JSON texts are the same bill; order of fields, spaces and `last_updated` aside.

    Some write a new `last_updated` whenever they send a CDR: that changes no bill.
    """
    if one == other:
        return True
    try:
        bills = [_decode(text) for text in (one, other)]
    except msgspec.DecodeError:
        return False  # It holds a number that cannot be compared.
    for bill in bills:
        if isinstance(bill, dict):
            bill.pop("last_updated", None)
    return bool(bills[0] == bills[1])
