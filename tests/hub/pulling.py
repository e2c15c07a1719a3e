"""Parties whose lists are pulled, and what has become of those."""

import json

from hub.models.pulls import Pull
from hub.sync import pull_tasks
from simulators.testing import Running
from tests.hub.lists import location
from tests.hub.strangers import Stranger, until


def run(running: Running[Stranger], module: str = "locations", *, full: bool = False) -> Pull:
    """A whole run, as an operator may ask for it."""
    (row,) = pull_tasks.request(running.simulator.party, [module], full=full)
    until(lambda: not Pull.objects.get(pk=row.pk).is_requested)
    return Pull.objects.get(pk=row.pk)


def row_of(running: Running[Stranger], module: str = "locations") -> Pull:
    return Pull.objects.get(party_id=running.simulator.party.party_id, module=module)


def kept(model, running: Running[Stranger]) -> list[str]:
    rows = model.objects.filter(owner=str(running.simulator.party)).order_by("id")
    return [json.loads(bytes(row.document)).get("id") for row in rows]


def told(running: Running[Stranger], owner: Running[Stranger], module: str = "locations") -> list:
    party = owner.simulator.party.party_id
    return [m for m in running.simulator.got if m.module == module and m.parts[1] == party]


def five(running: Running[Stranger]) -> list[dict]:
    return [location(running.simulator.party, f"L{number}") for number in range(5)]
