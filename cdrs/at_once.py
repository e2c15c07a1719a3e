"""A CDR on its way from the event loop: one that is new, and that its eMSP takes (decision 0030).

mod_cdrs, POST Method. Several in a list, repeats and whatever is refused: cdrs/models.py.
"""

import string
from typing import Final
from urllib.parse import quote

from django.conf import settings
from django.utils import timezone

from cdrs.models import CLAIM, GRACE, Bill, Cdr, Posting, identity
from cdrs.objects import CDR
from hub.db import leases, sql
from hub.db.batch_writer import Statement, Writer
from hub.db.django_threads import DjangoThreads
from hub.db.leases import Lease
from hub.models import quotas
from hub.ocpi.errors import OcpiError
from hub.ocpi.party import PartyId
from hub.ocpi.reading import deviations_of
from hub.outbound.forwarded import Forwarded

# To read or to compare a longer one would hold up the event loop.
_LONGEST: Final = 50_000
_TAKEN: Final = """
    SELECT true FROM ocpi_cdrs_cdr WHERE owner = %(owner)s::text
    AND object_id = %(object_id)s::text AND audience = %(audience)s::text
"""
_LOOK: Final = Statement("cdr_look", _TAKEN)
_BEGIN: Final = Statement(
    "cdr_begin",
    CLAIM.format(
        owner="%(owner)s",
        emsp="%(audience)s",
        seconds="%(seconds)s::float8",
        ids=f"(SELECT %(object_id)s::text WHERE NOT EXISTS ({_TAKEN}))",
        fence="fence::text",
    ),
    may_wait=True,
)
_COLUMNS: Final = sql.column_names(Cdr)
_ANSWERED: Final = Statement(
    "cdr_answered",
    f"""
    WITH kept AS (
        INSERT INTO ocpi_cdrs_cdr ({", ".join(_COLUMNS)})
        VALUES ({", ".join(f"%({name})s" for name in _COLUMNS)}) ON CONFLICT DO NOTHING
    ), ended AS (
        DELETE FROM ocpi_cdrs_posting WHERE fence = %(fence)s::bigint
    ) SELECT true
    """,  # noqa: S608 - names of ours
    binary={"document", "answer_body"},
    may_wait=True,
)
STATEMENTS: Final = (_LOOK, _BEGIN, _ANSWERED)


async def begin(
    writer: Writer, django: DjangoThreads, owner: PartyId, emsp: PartyId, body: bytes
) -> Lease | None:
    """As Posting.begin of one new CDR; None where nothing was done, and a thread has to do it."""
    bill = _bill(owner, body)
    if bill is None or quotas.seems_full(str(owner), Cdr.MODULE):
        return None
    seconds = float(settings.FORWARD_TIMEOUT + GRACE)
    names = {**identity(owner, bill.id), "audience": str(emsp)}
    asked = leases.clock()
    claimed = await writer.run(_BEGIN, {**names, "seconds": str(seconds)})
    if not claimed:
        return None
    lease = Lease(int(claimed[0][0] or b""), asked, seconds)
    # Another process may have ended between the look and the claim.
    if await writer.run(_LOOK, names) != []:
        await django.run(Posting.end, lease)
        return None
    return lease


async def posted(writer: Writer, forwarded: Forwarded) -> bool:
    """Keep what its eMSP has accepted; False where nothing was done."""
    request = forwarded.request
    bill = _bill(request.sender, request.body)
    if bill is None or forwarded.lease is None or not forwarded.response.is_accepted:
        return False
    owner, response = request.sender, forwarded.response
    location = response.headers.get("location", "").encode("utf-8", "surrogateescape")
    cdr = Cdr(
        **identity(owner, bill.id),
        audience=str(request.receiver),
        document=bill.document,
        last_updated=bill.last_updated or timezone.now(),
        answer_status=response.status,
        answer_body=response.body,
        answer_location=quote(location, safe=string.punctuation)[:2048],
    )
    values = {**sql.by_column(cdr), "fence": forwarded.lease.fence}
    if not await writer.run(_ANSWERED, values):
        return False
    quotas.add(str(owner), Cdr.MODULE)
    forwarded.note(deviations_of(request.body, CDR))
    return True


def _bill(owner: PartyId, body: bytes) -> Bill | None:
    """The one CDR of a message, of this CPO."""
    if len(body) > _LONGEST:
        return None
    try:
        bills = Bill.all_in(body)
        for bill in bills:
            bill.check_owner(owner)
    except OcpiError:
        return None  # The thread says what is wrong.
    return bills[0] if len(bills) == 1 else None
