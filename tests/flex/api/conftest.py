"""The parties that play in this folder's tests, and as many calls as a test wants."""

from collections.abc import Iterator

import pytest

from flex.models import FlexAgreement
from tests.running_hub import RunningHub, changed_setting
from tests.scripted import Cast


@pytest.fixture(scope="module")
def cast(hub: RunningHub) -> Iterator[Cast]:
    """Parties that answer as each test says, connected to the module's hub."""
    with changed_setting("FLEX_REQUESTS_PER_SECOND", 10_000):
        yield Cast(hub)


@pytest.fixture(autouse=True)
def _no_agreement_outlives_its_test(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    if "hub" in request.fixturenames:
        FlexAgreement.objects.all().delete()
