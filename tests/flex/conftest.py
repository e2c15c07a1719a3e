"""The parties that play in this folder's tests; agreements end with the test that made them."""

from collections.abc import Iterator

import pytest

from flex.models import FlexAgreement, FlexExclusion
from tests.running_hub import RunningHub
from tests.scripted import Cast


@pytest.fixture(scope="module")
def cast(hub: RunningHub) -> Cast:
    """Parties that answer as each test says, connected to the module's hub."""
    return Cast(hub)


@pytest.fixture(autouse=True)
def _no_agreement_outlives_its_test(request: pytest.FixtureRequest) -> Iterator[None]:
    """Of those with a hub: pure rules need none."""
    yield
    if "hub" in request.fixturenames:
        FlexAgreement.objects.all().delete()
        FlexExclusion.objects.all().delete()
