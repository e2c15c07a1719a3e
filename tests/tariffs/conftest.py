"""A CPO and an eMSP for this module's tests."""

import pytest

from tests.hub.conftest import _says_yes, cpo, emsp  # noqa: F401 - fixtures
from tests.hub.pushing import Owner


@pytest.fixture
def owner(hub, cpo) -> Owner:  # noqa: F811
    """The CPO with its objects of this module."""
    return Owner(hub, cpo, "tariffs")
