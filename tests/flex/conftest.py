"""The parties that play in this folder's tests."""

import pytest

from tests.running_hub import RunningHub
from tests.scripted import Cast


@pytest.fixture(scope="module")
def cast(hub: RunningHub) -> Cast:
    """Parties that answer as each test says, connected to the module's hub."""
    return Cast(hub)
