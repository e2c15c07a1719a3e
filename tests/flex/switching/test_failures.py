"""Who fails as FSP, as turns see it (flex/switching/watch.py)."""

import pytest

from flex.models import FspAssignment
from flex.switching import watch
from flex.switching.models import FspFailure
from hub.ocpi.party import PartyId
from tests.flex.agreements import acts
from tests.flex.knowledge.told import Told


@pytest.mark.django_db
def test_a_failure_that_two_turns_have_seen_counts_once():
    """Each time counts: whoever has failed twice is left out for twice as long."""
    session, fsp = Told().session, PartyId("NL", "SCS")
    acts(fsp, session)
    for _ in range(2):
        watch.fails(session, fsp, "it is silent")
    assert FspAssignment.current(session) is None
    assert FspFailure.objects.get(session=session).times == 1
