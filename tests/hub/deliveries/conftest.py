"""A receiver for the tests of single messages."""

import pytest

from hub.ocpi.datatypes import Role
from simulators.testing import Running
from tests.hub.strangers import Stranger


@pytest.fixture
def receiver(hub) -> Running[Stranger]:
    """A receiver of its own for each test."""
    return hub.join(Stranger(Role.EMSP, listens=False))
