"""Two registered strangers for a module's tests."""

import pytest

from hub.ocpi.datatypes import Role
from simulators.testing import PATIENCE, Running
from tests.hub.raw_servers import call_and_wait, call_awaited
from tests.hub.strangers import Stranger


@pytest.fixture(scope="module")
def cpo(hub) -> Running[Stranger]:
    """A CPO's platform that offers every module and a custom one."""
    return hub.join(Stranger(Role.CPO))


@pytest.fixture(scope="module")
def emsp(hub) -> Running[Stranger]:
    """An eMSP's platform that offers every module and a custom one."""
    return hub.join(Stranger(Role.EMSP))


@pytest.fixture(autouse=True)
def _says_yes(request) -> None:
    """Strangers that a test has told to answer otherwise answer well again."""
    for name in ("cpo", "emsp"):
        if name in request.fixturenames:
            stranger = request.getfixturevalue(name).simulator
            stranger.says = Stranger.says_yes
            stranger.got.clear()


@pytest.fixture(params=[call_and_wait, call_awaited], ids=["waiting", "awaited"])
def call(request, settings):
    """Each way to call in turn; who waits for a time limit sets one."""
    settings.FORWARD_TIMEOUT = settings.CONNECT_TIMEOUT = PATIENCE
    settings.ALLOW_PRIVATE_URLS = True
    return request.param
