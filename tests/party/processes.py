"""Parties as processes of their own, at the running hub."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from hub.ocpi.datatypes import Role
from hub.ocpi.party import PartyId
from hub.parties import onboarding
from hub.routing.directory import holder, wait_until_confirmed
from simulators.demo import PROJECT
from simulators.testing import PATIENCE
from tests.hub.strangers import until


@contextmanager
def serving(module: str, **environment: str) -> Iterator["subprocess.Popen[bytes]"]:
    """A process from a shell, ended as a shell ends it."""
    process = subprocess.Popen(
        [sys.executable, "-m", module], cwd=PROJECT, env=os.environ | environment
    )
    try:
        yield process
        assert process.poll() is None
        process.terminate()
        assert process.wait(PATIENCE) == 0
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


@contextmanager
def joined(hub, module: str, party: PartyId, role: Role, **more: str) -> Iterator[None]:
    """Registered with the operator's word on it."""
    token_a = onboarding.invite(party, [role], module).token
    with serving(module, HUB_VERSIONS_URL=hub.versions_url, TOKEN_A=token_a, **more):
        until(lambda: is_registered(party))
        onboarding.agree(party)
        assert wait_until_confirmed()
        yield


def is_registered(party: PartyId) -> bool:
    entry = holder.refresh().parties.get(party)
    return entry is not None and entry.platform.is_registered
