"""CDRs as the hub keeps them, each with its eMSP's answer (mod_cdrs, Flow and Lifecycle)."""

import msgspec
from django.db import models

from cdrs.objects import CDR
from hub.ocpi import envelope
from hub.ocpi.datatypes import decode, utc
from hub.ocpi.party import PartyId
from hub.outbound import Response
from hub.store import StoredObject


class Cdr(StoredObject):
    """A CDR that its eMSP has taken; `audience` is that eMSP.

    "it cannot be changed or replaced once sent": the answer is kept too, so that a CDR which is
    sent again gets the outcome that is known already.
    """

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
            models.Index(fields=["audience", "id"], name="cdr_by_emsp"),
            models.Index(fields=["last_updated"], name="cdr_by_last_updated"),
            models.Index(fields=["received_at"], name="cdr_by_age"),
        ]

    @classmethod
    def visible_to(cls, viewer: PartyId) -> "models.QuerySet[Cdr]":
        """The CDRs of a CPO, and those of an eMSP's drivers."""
        return cls.objects.filter(models.Q(owner=str(viewer)) | models.Q(audience=str(viewer)))

    @classmethod
    def known_answer(cls, owner: PartyId, emsp: PartyId, body: bytes) -> Response | None:
        """The eMSP's answer to the same CDR, when it has taken it before."""
        cdr_id = cls.id_in(body)
        if cdr_id is None:
            return None
        kept = cls.named(identity(owner, cdr_id)).filter(audience=str(emsp))
        known = kept.first()
        if known is None or not _is_same(bytes(known.document), body):
            return None
        found = {"content-type": "application/json"}
        if known.answer_location:
            found["location"] = known.answer_location
        return Response(known.answer_status, found, bytes(known.answer_body))

    @staticmethod
    def id_in(body: bytes) -> str | None:
        """The id of a CDR; None when it is none, which is for its receiver to say."""
        try:
            return msgspec.json.decode(body, type=_Named).id
        except msgspec.DecodeError:
            return None

    @classmethod
    def taken(cls, owner: PartyId, emsp: PartyId, body: bytes, response: Response) -> None:
        """Keep a CDR that its eMSP has accepted; InvalidParameters when it is none of `owner`."""
        if not envelope.is_accepted(response.status, response.body):
            return
        sent = decode(body, CDR)
        cls.keep(
            identity(owner, sent.id),
            str(emsp),
            body,
            utc(sent.last_updated),
            answer_status=response.status,
            answer_body=response.body,
            answer_location=response.headers.get("location", "")[:2048],
        )


def identity(owner: PartyId, cdr_id: str) -> dict[str, str]:
    """Which CDR it is."""
    return {"owner": str(owner), "object_id": cdr_id.upper()}


class _Named(msgspec.Struct):
    id: str


def _is_same(one: bytes, other: bytes) -> bool:
    """Whether two JSON texts say the same; their order of fields and their spaces say nothing."""
    return one == other or bool(msgspec.json.decode(one) == msgspec.json.decode(other))
