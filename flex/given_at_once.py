"""Sessions that are kept and given to their flexibility provider in one statement (decision 0030).

SCALE D2.3, 8.4; mod_sessions, PUT and PATCH Method. relay.give_session does the same on a thread,
and all that is not as simple: what the CPO itself sends the FSP, what is not news, who may not get
it.
"""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import quote

from flex import relay
from flex.choice import Choice, Facts, choose
from flex.facts import cannot_act
from flex.models import FlexAgreement
from flex.models.agreements import FIRST, IS_VALID, SCOPE, excluded, fitting, wider
from flex.models.assignments import NOTED, opened_by
from hub.db.batch_writer import Row, Statement, Writer
from hub.db.leases import NOW
from hub.ocpi.datatypes import InterfaceRole
from hub.ocpi.party import PartyId
from hub.outbound.forwarded import Forwarded
from hub.outbox import outbox
from hub.routing.directory import PartyEntry, holder
from hub.workers import wake
from sessions import storing
from sessions.objects import OVER

_IS_OVER: Final = f"{storing.will_be('status')} = ANY('{{{','.join(OVER)}}}')"
_HAS_OPEN: Final = (
    "SELECT FROM flex_fspassignment AS one WHERE one.session_id = kept.id AND one.ended_at IS NULL"
)


def _said(name: str) -> list[str]:
    """What is kept and what is told now, for a name of an agreement's scope."""
    column = SCOPE[name]
    told = [] if column in {"country_code", "party_id"} else [f"%({column})s::text"]
    return [f"kept.{column}", *told]


# An FSP, except one that is the only party to which the CPO sends it; or an agreement that may
# make one its FSP: by what is kept or by what is told now, whichever of them counts. One on the
# session itself has been weighed when it was said.
IS_GIVEN: Final = f"""
    EXISTS ({_HAS_OPEN} AND one.fsp_party_id <> ''
        AND (one.is_relayed OR NOT upper(one.fsp_country_code) || '-' || upper(one.fsp_party_id)
             = ALL (kept.sent_to || %(sent_to)s::varchar[])))
    OR NOT EXISTS ({_HAS_OPEN})
       AND EXISTS (SELECT {wider({name: _said(name) for name in SCOPE})})
"""


_AGREED: Final = (
    *("id", "kind", "said_by", "fsp_country_code", "fsp_party_id"),
    *("cpo_country_code", "cpo_party_id", "emsp_country_code", "emsp_party_id"),
    *("token_uid", "location_id", "session_id"),
)
_WILL_BE: Final = {
    name: [f"kept.{column}" if column in {"country_code", "party_id"} else storing.will_be(column)]
    for name, column in SCOPE.items()
}
_EMSP: Final = (storing.will_be("emsp_country_code"), storing.will_be("emsp_party_id"))
_PLACE: Final = storing.will_be("location_id")
# Who gets it: by an open assignment to which the CPO itself has sent nothing as new; or, of one
# that is not over, by the agreement that would make one, as `flex.choice` weighs them.
FIND: Final = f"""
    SELECT kept.country_code, kept.party_id, kept.session_id,
           one.id::text, one.fsp_country_code, one.fsp_party_id, one.is_relayed::text,
           {_EMSP[0]}, {_EMSP[1]}, {", ".join(f"agreed.{name}::text" for name in _AGREED)}
    FROM ocpi_sessions_session AS kept
    LEFT JOIN flex_fspassignment AS one ON one.session_id = kept.id AND one.ended_at IS NULL
    LEFT JOIN LATERAL (
        SELECT agreed.* FROM {fitting("kept.id", _WILL_BE)} AS agreed
        WHERE one.id IS NULL AND NOT {_IS_OVER}
          AND NOT CASE agreed.kind
              WHEN 'SCSP' THEN {excluded("agreed.fsp_country_code", "agreed.fsp_party_id", _PLACE)}
              WHEN 'EMSP' THEN {_EMSP[1]} = '' OR {excluded(*_EMSP, _PLACE)}
              ELSE false END
        ORDER BY {FIRST} LIMIT 1
    ) AS agreed ON true
    WHERE upper(kept.country_code) = upper(%(country_code)s::text)
      AND upper(kept.party_id) = upper(%(party_id)s::text)
      AND upper(kept.session_id) = upper(%(session_id)s::text) AND NOT kept.has_waiting
      AND (one.id IS NOT NULL OR NOT EXISTS (
          SELECT FROM flex_switching_fspfailure AS failed
          WHERE failed.session_id = kept.id AND failed.until > {NOW}))
      AND (one.id IS NULL OR one.fsp_party_id <> '' AND (one.sent_last_updated IS NULL
           OR one.sent_last_updated < %(last_updated)s::timestamptz))
"""  # noqa: S608 - names of ours
_FIND: Final = Statement("session_fsp", FIND)
_ASSIGNMENT, _AGREEMENT = 3, 9
# What was found is still so.
_OPEN: Final = """
    SELECT FROM flex_fspassignment AS one
    WHERE one.session_id = kept.id AND one.ended_at IS NULL AND one.id = %(assignment)s::bigint
      AND (one.sent_last_updated IS NULL OR one.sent_last_updated < %(last_updated)s::timestamptz)
"""
_AGREES: Final = f"""
    %(assignment)s::bigint IS NULL
    AND EXISTS (SELECT FROM flex_flexagreement AS agreed
                WHERE {IS_VALID} AND agreed.id = %(agreement)s::bigint)
    AND NOT EXISTS (SELECT FROM flex_fspassignment AS one
                    WHERE one.session_id = kept.id AND one.ended_at IS NULL)
    AND NOT {_IS_OVER}
"""  # noqa: S608 - names of ours
_MESSAGE: Final = outbox.enqueued(
    "kept",
    receiver_id="%(platform)s::bigint",
    ordering_key="'session:' || kept.id || ' ' || %(owner)s::text",
    module="'sessions'",
    method="'PUT'",
    interface_role="'RECEIVER'",
    path="%(path)s::text",
    body="kept.document",
    from_country_code="%(country_code)s::text",
    from_party_id="%(party_id)s::text",
    to_country_code="%(to_country_code)s::text",
    to_party_id="%(to_party_id)s::text",
    correlation_id="%(correlation_id)s::text",
)


def _given(kept: str) -> str:
    return f"WITH kept AS ({kept}), queued AS ({_MESSAGE}) SELECT true FROM kept"  # noqa: S608


def _given_first(kept: str) -> str:
    """It has an FSP from now on, or gets it from the hub for the first time."""
    return f"""
    WITH kept AS ({kept}), opened AS (
        INSERT INTO flex_fspassignment (session_id, kind, fsp_country_code, fsp_party_id, epoch,
                                        reason, started_at, is_relayed)
        SELECT kept.id, %(kind)s::text, %(fsp_country_code)s::text, %(fsp_party_id)s::text,
               coalesce((SELECT max(epoch) FROM flex_fspassignment
                         WHERE session_id = kept.id), 0) + 1,
               %(reason)s::text, {NOW}, true
        FROM kept WHERE %(assignment)s::bigint IS NULL
        RETURNING *
    ), noted AS ({NOTED}), relayed AS (
        UPDATE flex_fspassignment AS one SET is_relayed = true
        FROM kept WHERE one.id = %(assignment)s::bigint
    ), queued AS ({_MESSAGE}) SELECT true FROM kept
    """  # noqa: S608 - names of ours


_RELAYED: Final = f"NOT EXISTS ({_OPEN} AND one.is_relayed)"
_FIRST: Final = f"NOT (EXISTS ({_OPEN}) OR {_AGREES})"
_STATEMENTS: Final = {
    ("PUT", True): Statement(
        "session_put_given", _given(storing.keep_known(_RELAYED)), binary={"document"}
    ),
    ("PATCH", True): Statement(
        "session_patch_given", _given(storing.change_known(_RELAYED)), binary={"document"}
    ),
    ("PUT", False): Statement(
        "session_put_given_first",
        _given_first(storing.keep_known(_FIRST)),
        binary={"document"},
        may_wait=True,
    ),
    ("PATCH", False): Statement(
        "session_patch_given_first",
        _given_first(storing.change_known(_FIRST)),
        binary={"document"},
        may_wait=True,
    ),
}
# Nobody is its FSP, and no word makes one.
_ALONE: Final = {
    "PUT": Statement(
        "session_put_alone", storing.keep_known(f"EXISTS ({_HAS_OPEN})"), binary={"document"}
    ),
    "PATCH": Statement(
        "session_patch_alone", storing.change_known(f"EXISTS ({_HAS_OPEN})"), binary={"document"}
    ),
}
STATEMENTS: Final = (_FIND, *_STATEMENTS.values(), *_ALONE.values())


async def keep_and_give(writer: Writer, forwarded: Forwarded, values: Mapping[str, Any]) -> bool:
    """Keep what the CPO has told its receiver, and give it to the FSP; False: nothing was done.

    `values` are the parameters of `storing.keep_known` or `change_known`.
    """
    request = forwarded.request
    values = {"tells_emsp": values["emsp_party_id"] != "", **values}
    found = await writer.run(_FIND, values)
    if not found:
        return False
    if not (found[0][_ASSIGNMENT] or found[0][_AGREEMENT]):
        return bool(await writer.run(_ALONE[request.method], values))
    fsp = read(found[0])
    if fsp is None or fsp.party == request.receiver:
        return False
    owner = PartyId(values["country_code"], values["party_id"])
    directory = holder.snapshot
    entry = relay.open_entry(directory, fsp.party, InterfaceRole.RECEIVER, {owner})
    if directory.extends(owner, fsp.party):
        return False  # On a thread what they agreed on is added.
    if entry is None or (fsp.choice is not None and cannot_act(directory, fsp.party, owner)):
        return False
    statement = _STATEMENTS[request.method, fsp.assignment is not None and fsp.is_relayed]
    more = _parameters(fsp, entry, owner, request.correlation_id)
    if not await writer.run(statement, {**more, **values}):
        return False
    wake.nudge_at_once(writer, "deliveries")
    return True


class _Fsp(NamedTuple):
    """Who gets a Session: by an assignment that is open, or by an agreement that makes one."""

    party: PartyId
    path: str
    assignment: int | None = None
    is_relayed: bool = False
    agreement: int | None = None
    choice: Choice | None = None


def _parameters(
    fsp: _Fsp, entry: PartyEntry, owner: PartyId, correlation_id: str
) -> dict[str, Any]:
    """What the statements need beside the Session."""
    choice = fsp.choice
    return {
        "owner": str(owner),
        "platform": entry.platform.id,
        "to_country_code": entry.country_code,
        "to_party_id": entry.party_id,
        "path": fsp.path,
        "correlation_id": correlation_id,
        "assignment": fsp.assignment,
        "agreement": fsp.agreement,
        "kind": choice and str(choice.kind),
        "reason": choice and choice.reason[:200],
        "told": choice and opened_by(choice)[:400],
        "fsp_country_code": fsp.party.country_code,
        "fsp_party_id": fsp.party.party_id,
    }


def read(row: Row) -> _Fsp | None:
    """What FIND has found; None where nobody is to be given it, or a thread has to say who."""
    text = ["" if value is None else value.decode() for value in row]
    country_code, party_id, session_id, assignment, *fsp, is_relayed = text[:7]
    path = "/".join((country_code, party_id, quote(session_id, safe="")))
    if assignment:
        party = PartyId(fsp[0].upper(), fsp[1].upper())
        return _Fsp(party, path, int(assignment), is_relayed == "true")
    emsp = PartyId(text[7].upper(), text[8].upper())
    agreed = dict(zip(_AGREED, text[9:], strict=True))
    if not agreed["id"]:
        return None
    numbers = {"id": int(agreed["id"]), "session_id": int(agreed["session_id"] or 0) or None}
    agreement = FlexAgreement(**{**agreed, **numbers})
    cpo = PartyId(country_code.upper(), party_id.upper())
    choice = choose(Facts(cpo, emsp, [agreement.word]))
    if choice is None or choice.fsp is None:
        return None
    return _Fsp(choice.fsp, path, agreement=agreement.pk, choice=choice)
