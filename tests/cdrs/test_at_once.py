"""Which CDRs need no thread, and that they are kept as a thread keeps them (decision 0030)."""

import json
from dataclasses import replace
from typing import Any

from msgspec import structs

from cdrs import at_once
from cdrs.models import Cdr, Posting
from hub.db.django_threads import DjangoThreads
from hub.db.leases import Lease
from hub.gateway import modules
from hub.ocpi.datatypes import InterfaceRole
from hub.ocpi.modules import match
from hub.outbound.forwarded import Forwarded
from tests.at_once import accepted, is_kept_at_once, keep_on_a_thread, run_at_once
from tests.cdrs.test_post_cdr import of


def posted(cpo, emsp, *documents: dict[str, Any]) -> Forwarded:
    """POSTs of a list are of several."""
    parties = cpo.simulator.party, emsp.simulator.party
    message = accepted("sessions", "PUT", ["as-a-session"], {}, parties)
    place = match("cdrs", InterfaceRole.RECEIVER, "", "POST")
    [body] = documents if len(documents) == 1 else [list(documents)]
    request = structs.replace(
        message.request, match=place, method="POST", body=json.dumps(body).encode()
    )
    return replace(message, request=request)


def begun(message: Forwarded, *, is_alone: bool = True) -> Lease | None:
    """The lease that it gets; `is_alone`: without a thread."""
    django = DjangoThreads(1)
    try:
        if is_alone:
            asked = message.request.sender, message.request.receiver, message.request.body
            return run_at_once(lambda writer: at_once.begin(writer, django, *asked))
        check = modules.before_forwarding(message.request)
        assert check is not None
        found = run_at_once(lambda writer: modules.checked(writer, django, check, message.request))
        return found if isinstance(found, Lease) else None
    finally:
        django.close()


def row(cdr_id: str) -> dict[str, Any]:
    """All that is kept of it, but for when, and by which number."""
    [found] = Cdr.objects.filter(object_id=cdr_id).values()
    found["document"] = bytes(found["document"]).replace(cdr_id.encode(), b"ID")
    return {n: v for n, v in found.items() if n not in {"id", "object_id", "received_at"}}


def test_a_new_cdr_is_kept_at_once_as_a_thread_keeps_it(hub, cpo, emsp):
    first, second = (posted(cpo, emsp, of(cpo, emsp, name)) for name in ("QUICK", "SLOW"))
    lease = begun(first)
    assert lease is not None
    assert Posting.objects.get().fence == lease.fence
    assert begun(first) is None  # It is on its way.
    assert is_kept_at_once(replace(first, lease=lease))
    lease = begun(second, is_alone=False)
    assert lease is not None
    keep_on_a_thread(replace(second, lease=lease))
    assert row("QUICK") == row("SLOW")
    assert not Posting.objects.exists()
    assert begun(first) is None  # Its eMSP has taken it.
    assert not Posting.objects.exists()


def test_several_and_what_is_of_another_cpo_or_was_not_begun_has_a_thread(hub, cpo, emsp):
    several = posted(cpo, emsp, of(cpo, emsp, "LIST-1"), of(cpo, emsp, "LIST-2"))
    others = posted(cpo, emsp, of(emsp, emsp, "OTHERS"))
    for message in (several, others):
        assert begun(message) is None
        assert not is_kept_at_once(replace(message, lease=Lease(0, 0.0)))
    assert not is_kept_at_once(posted(cpo, emsp, of(cpo, emsp, "LATE")))
    assert not Posting.objects.exists()
