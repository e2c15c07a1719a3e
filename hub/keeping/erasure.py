"""Erasure of one driver's data, found by a token: kind by kind, each in one transaction.

What other parties keep is theirs to erase, and backups are written over in their own time:
docs/operations.md says what an operator has to tell.
"""

import logging
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qs, unquote

import msgspec
from django.db import models, transaction
from django.db.models.expressions import RawSQL

from cdrs.models import Cdr
from cdrs.without_driver import Fields, answer_without_driver, bearer_of, without_driver
from charging_profiles.models import UNSENT, CommandState, ProfileCommand
from flex.api.models import ApiKey, Prepared
from flex.assignment import reconsider_all
from flex.models import FlexAgreement, PreferenceCopy
from hub.db import secret_box
from hub.models import Delivery, DeliveryState, Erasure, StaleCopy, locking
from hub.ocpi import heads
from hub.ocpi.datatypes import check_json
from hub.ocpi.errors import OcpiError
from hub.ocpi.masking import HIDDEN, hint
from hub.ocpi.party import PartyId
from hub.record.models import Message
from sessions.handed_on import HandedOn
from sessions.models import Session
from sessions.objects import OVER
from tokens.models import Token

logger = logging.getLogger(__name__)
CHUNK: Final = 200
_UNFINISHED: Final = (*UNSENT, CommandState.ACCEPTED)


@dataclass(frozen=True, slots=True)
class Driver:
    """The driver: a token of an eMSP, and the contract ids that it is known to belong to."""

    emsp: PartyId
    token_uid: str
    token_type: str = ""  # empty: of any type
    contract_ids: frozenset[str] = frozenset()

    @property
    def token_hash(self) -> str:
        """A keyed hash by which an audit can be asked about this token, and nobody can be found."""
        return secret_box.keyed_hash(f"{self.emsp} {self.token_uid.upper()}", "erased tokens")

    @property
    def names(self) -> list[str]:
        """The uid and the contract ids, in upper case: all of them are CiStrings."""
        return [self.token_uid.upper(), *(one.upper() for one in self.contract_ids)]


@dataclass(slots=True)
class Erased:
    """How much was found and erased of each kind, and what has to wait for another run."""

    erased: dict[str, int] = field(default_factory=dict)
    left: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Eraser:
    """One erasure. With `dry` it only counts; running sessions are left unless it is told."""

    driver: Driver
    dry: bool = False
    delete_cdrs: bool = False
    with_running: bool = False

    @locking.taking_long()
    def run(self, by: str) -> Erased:
        """Erase everything that can be reached; safe to repeat. Writes who did it, not to whom."""
        outcome = Erased()
        # What hangs on a session goes before the session by which it is found.
        for step in (
            self._messages,
            self._deliveries,
            self._profile_commands,
            self._sessions,
            self._cdrs,
            self._agreements,
            self._flex_api,
            self._tokens,
        ):
            with transaction.atomic():
                step(outcome)
        if not self.dry:
            self._note(by, outcome)
        return outcome

    def _note(self, by: str, outcome: Erased) -> None:
        Erasure.objects.create(
            erased_by=by[:150],
            emsp=str(self.driver.emsp),
            token_hash=self.driver.token_hash,
            are_cdrs_deleted=self.delete_cdrs,
            counts=outcome.erased,
            left=outcome.left,
        )
        logger.info("a driver of %s is erased: %s", self.driver.emsp, outcome.erased)

    def _delete(self, outcome: Erased, kind: str, rows: "models.QuerySet[Any]") -> None:
        outcome.erased[kind] = rows.count() if self.dry else _deleted(rows)

    # --- Sessions and what hangs on them --------------------------------------------------------

    def _found_sessions(self) -> "list[Session]":
        of_emsp = Session.objects.filter(
            emsp_country_code__iexact=self.driver.emsp.country_code,
            emsp_party_id__iexact=self.driver.emsp.party_id,
        )
        # A PATCH may have taken the token back, or spelled it so that nobody can read it.
        known = models.Q(token_uid__iexact=self.driver.token_uid)
        found = _naming(of_emsp, self.driver, known).only(
            *("pk", "country_code", "party_id", "session_id", "status", "document"),
            *("token_uid", "token_type"),
        )
        return [one for one in found.iterator(CHUNK) if self._is_sessions(one)]

    def _is_sessions(self, session: Session) -> bool:
        return self._is_of(session.document) or self._is_bearer(
            {"uid": session.token_uid, "type": session.token_type}
        )

    def _ended_sessions(self, sessions: "list[Session]") -> list[int]:
        """The sessions that may go, since nothing goes on in them any more."""
        if self.with_running:
            return [one.pk for one in sessions]
        unfinished = ProfileCommand.objects.filter(session__in=sessions, state__in=_UNFINISHED)
        busy = {command.session_id for command in unfinished}
        return [one.pk for one in sessions if one.status in OVER and one.pk not in busy]

    def _sessions(self, outcome: Erased) -> None:
        found = self._found_sessions()
        ended = self._ended_sessions(found)
        if not self.dry:
            HandedOn.forget([(one.owner, one.session_id) for one in found if one.pk in ended])
        outcome.erased["preferences"] = PreferenceCopy.objects.filter(session__in=ended).count()
        self._delete(outcome, "sessions", Session.objects.filter(pk__in=ended))
        if len(found) > len(ended):
            outcome.left["running sessions"] = len(found) - len(ended)

    def _profile_commands(self, outcome: Erased) -> None:
        ended = self._ended_sessions(self._found_sessions())
        rows = ProfileCommand.objects.filter(session__in=ended)
        self._delete(outcome, "profile commands", rows)

    def _deliveries(self, outcome: Erased) -> None:
        """Pushes that name the driver, or hang on their sessions; ended ones.

        Those that wait are on their way, seconds long: taking one from its worker gains nothing,
        and a Token that is being blocked should reach the CPOs.
        """
        found = self._found_sessions()
        sessions = [one.pk for one in found]
        commands = ProfileCommand.objects.filter(session__in=sessions).values_list("pk", flat=True)
        keys = [f"session:{one.pk} {one.owner}" for one in found]
        # The keys that they had until both interfaces got one order.
        keys += [f"session:{pk}{role}" for pk in sessions for role in ("", ":SENDER", ":RECEIVER")]
        keys += [f"profile-command:{pk}" for pk in commands]
        hanging = set(Delivery.objects.filter(ordering_key__in=keys).values_list("pk", flat=True))
        named = {
            row.pk
            for row in _named_deliveries(self.driver).iterator(CHUNK)
            if self._is_in_path(row) or self._is_in(bytes(row.body))
        }
        rows = Delivery.objects.filter(pk__in=hanging | named)
        waiting = rows.filter(state=DeliveryState.WAITING).count()
        self._delete(outcome, "deliveries", rows.exclude(state=DeliveryState.WAITING))
        if waiting:
            outcome.left["pushes on their way"] = waiting

    def _messages(self, outcome: Erased) -> None:
        """Empty recorded bodies, found by what the mask leaves and by sessions; rather too many."""
        signs = {hint(name).upper() for name in self.driver.names} - {HIDDEN}
        signs |= {one.session_id.upper() for one in self._found_sessions()}
        with_bodies = Message.objects.exclude(request_body="", answer_body="")
        found = [
            message.pk
            for message in with_bodies.iterator(CHUNK)
            if _has_one(signs, message.path, message.request_body, message.answer_body)
        ]
        outcome.erased["recorded bodies"] = len(found)
        if not self.dry:
            Message.objects.filter(pk__in=found).update(request_body="", answer_body="")

    # --- What names the driver itself -----------------------------------------------------------

    def _tokens(self, outcome: Erased) -> None:
        """Erase Tokens told to all CPOs or to single ones, also other tokens of a named contract.

        Nobody is told of them any more.
        """
        emsp = str(self.driver.emsp)
        own = Token.objects.filter(owner=emsp)
        found = _naming(own, self.driver, models.Q(object_id=self.driver.token_uid.upper()))
        rows = [one for one in found.iterator(CHUNK) if self._is_token(one.document)]
        named = models.Q(pk__in=[])
        for one in rows:
            named |= models.Q(object_id=one.object_id, variant=one.type)
        self._delete(outcome, "marks", StaleCopy.objects.filter(named, module="tokens", owner=emsp))
        self._delete(outcome, "tokens", Token.objects.filter(pk__in=[one.pk for one in rows]))

    def _agreements(self, outcome: Erased) -> None:
        emsp = self.driver.emsp
        rows = FlexAgreement.objects.filter(
            token_uid__iexact=self.driver.token_uid,
            emsp_country_code__iexact=emsp.country_code,
            emsp_party_id__iexact=emsp.party_id,
        )
        self._delete(outcome, "flexibility agreements", rows)
        if outcome.erased["flexibility agreements"] and not self.dry:
            # Sessions that still go on have another FSP then, or none.
            of_token = Session.objects.filter(
                emsp_country_code__iexact=emsp.country_code,
                emsp_party_id__iexact=emsp.party_id,
                token_uid__iexact=self.driver.token_uid,
            )
            reconsider_all(of_token, "the agreement for its token was erased")

    def _flex_api(self, outcome: Erased) -> None:
        """Preferences that wait for a session of this token, and keys that open its sessions."""
        emsp = self.driver.emsp
        of_token = {
            "country_code": emsp.country_code,
            "party_id": emsp.party_id,
            "token_uid__iexact": self.driver.token_uid,
        }
        self._delete(outcome, "prepared preferences", Prepared.objects.filter(**of_token))
        self._delete(outcome, "keys of the driver", ApiKey.objects.filter(**of_token))

    def _cdrs(self, outcome: Erased) -> None:
        """Put CDRs, which are bills, under a pseudonym, unless they are to be deleted too."""
        of_emsp = Cdr.objects.filter(audience=str(self.driver.emsp))
        found = _naming(of_emsp, self.driver).iterator(CHUNK)
        rows = [one.pk for one in found if self._is_of(one.document)]
        if self.delete_cdrs:
            self._delete(outcome, "CDRs", Cdr.objects.filter(pk__in=rows))
            return
        outcome.erased["CDRs"] = len(rows)
        for start in range(0, 0 if self.dry else len(rows), CHUNK):
            chunk = list(Cdr.objects.select_for_update().filter(pk__in=rows[start : start + CHUNK]))
            for cdr in chunk:
                bill, answer = bytes(cdr.document), bytes(cdr.answer_body)
                cdr.answer_body = answer_without_driver(answer, bill, self.driver.emsp)
                cdr.document = without_driver(bill, self.driver.emsp)
            Cdr.objects.bulk_update(chunk, ["document", "answer_body"])

    # --- Is it this driver? ---------------------------------------------------------------------

    def _is_bearer(self, bearer: Fields) -> bool:
        """Whether a Token or CdrToken, also an oddly spelled one, is the driver's."""
        uid, *contract_ids = self.driver.names
        if heads.text(bearer.get("contract_id")).upper() in contract_ids:
            return True
        is_type = self.driver.token_type in {"", heads.word(bearer.get("type"))}
        return is_type and heads.text(bearer.get("uid")).upper() == uid

    def _is_of(self, document: bytes | memoryview) -> bool:
        found = _object(bytes(document))
        return found is not None and self._is_bearer(bearer_of(found))

    def _is_token(self, document: bytes | memoryview) -> bool:
        found = _object(bytes(document))
        return found is not None and self._is_bearer(msgspec.structs.asdict(_read(found)))

    def _is_in(self, body: bytes) -> bool:
        """Whether a Token, or an object with a CdrToken, is this driver's."""
        return self._is_of(body) or self._is_token(body)

    def _is_in_path(self, delivery: Delivery) -> bool:
        """Whether it is a PATCH of this Token, which is named only in the URL."""
        if delivery.module != "tokens":
            return False
        path, _, query = delivery.path.partition("?")
        named = [unquote(part).upper() for part in path.split("/")]
        token_type = parse_qs(query.upper()).get("TYPE", ["RFID"])[0]
        return named == [*self.driver.emsp, self.driver.token_uid.upper()] and (
            self.driver.token_type in {"", token_type}
        )


class _Bearer(msgspec.Struct):
    """The fields of a Token that name its driver."""

    uid: Any = None
    type: Any = None
    contract_id: Any = None


_read = heads.reader(_Bearer)


def _object(body: bytes) -> bytes | None:
    """The object that a body is; None for what is not even JSON."""
    try:
        check_json(body)
        return heads.object_of(body)
    except OcpiError:
        return None


def _has_one(signs: set[str], *texts: str) -> bool:
    return any(sign in text.upper() for text in texts for sign in signs)


def _deleted(rows: "models.QuerySet[Any]") -> int:
    _, by_table = rows.delete()
    return by_table.get(rows.model._meta.label, 0)


def _holds(column: str, driver: Driver) -> RawSQL:
    """Whether a document may name the driver; one with escaped characters always may."""
    each = f"position(%s IN upper(encode({column}, 'escape'))) > 0"
    condition = " OR ".join(
        [f"position('\\x5c'::bytea IN {column}) > 0", *[each] * len(driver.names)]
    )
    return _sql(f"({condition})", driver)


def _sql(condition: str, driver: Driver) -> RawSQL:
    """The condition with the driver's names as its parameters."""
    return RawSQL(  # noqa: S611 - columns of ours; what was typed is a parameter
        condition, driver.names, output_field=models.BooleanField()
    )


def _naming(
    rows: "models.QuerySet[Any]", driver: Driver, more: models.Q | None = None
) -> "models.QuerySet[Any]":
    """Those of the rows whose document may be the driver's; the document itself decides."""
    holds = _holds(f"{rows.model._meta.db_table}.document", driver)
    condition = models.Q(may_name=True)
    named: models.QuerySet[Any] = rows.annotate(may_name=holds)
    return named.filter(condition | more if more else condition)


def _named_deliveries(driver: Driver) -> "models.QuerySet[Delivery]":
    named = Delivery.objects.annotate(own=_holds("hub_delivery.body", driver))
    return named.filter(models.Q(own=True) | models.Q(module="tokens"))
