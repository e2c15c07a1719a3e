"""`python -m party check` against simulated parties: exit codes, and rules of two requests."""

import argparse
import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from party.check import command
from party.check.list_windows import APPLIED, CONTINUES
from simulators.cpo import Cpo
from simulators.emsp import Emsp
from simulators.testing import Running


@pytest.fixture(scope="module")
def cpo() -> Iterator[Running[Cpo]]:
    """Its Locations have several moments of last_updated, as real ones have."""
    simulator = Cpo(locations=5)
    with Running(simulator) as running:
        for number, site in enumerate(simulator.more_sites):
            site.name = f"Site {number}"
        yield running


@pytest.fixture(scope="module")
def emsp() -> Iterator[Running[Emsp]]:
    """Its tokens have moments of last_updated that are apart."""
    simulator = Emsp(tokens=7)
    for number, token in enumerate(simulator.tokens.values()):
        token["last_updated"] = f"2026-01-0{number + 1}T10:00:00Z"
    with Running(simulator) as running:
        yield running


@pytest.fixture(autouse=True)
def _well_again(cpo, emsp) -> Iterator[None]:
    yield
    for running in (cpo, emsp):
        running.clear_faults()


def check(running: Running[Any], *arguments: str, capsys) -> tuple[int, dict[str, Any]]:
    """The exit code, and what failed by its rule."""
    code, told = run(running.versions_url, "--json", *arguments, capsys=capsys)
    findings = json.loads(told)["findings"] if told else []
    return code, {one["rule"]: one for one in findings if one["outcome"] == "FAILED"}


def run(*arguments: str, capsys) -> tuple[int, str]:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    code = asyncio.run(command.run(parser.parse_args(arguments)))
    return code, capsys.readouterr().out


def invited(running: Running[Any]) -> str:
    return running.simulator.invite()


@pytest.mark.parametrize("push", [(), ("--push",)])
def test_a_clean_party_is_0_and_registered_nowhere_afterwards(cpo, emsp, push, capsys):
    for running in (cpo, emsp):
        assert check(running, "--token-a", invited(running), *push, capsys=capsys) == (0, {})
        assert running.simulator.connections == []
        assert running.simulator.by_token == {}


def test_a_result_is_awaited_where_a_charge_point_is_asked(cpo, capsys):
    session = cpo.run(cpo.simulator.start_session())
    try:
        code, told = run(cpo.versions_url, "--token-a", invited(cpo), "--push", "-v", capsys=capsys)
        assert code == 0, told
        shown = " ".join(told.split())
        assert (
            "After ACCEPTED the result is posted to the response_url, within the timeout" in shown
        )
        assert "result ACCEPTED after" in shown or "shows no ACTIVE session" in shown
    finally:
        cpo.run(cpo.simulator.end_session(session.id))


def test_a_token_of_an_earlier_registration_is_enough(emsp, capsys):
    with Running(Cpo()) as other:
        other.register(emsp.versions_url, invited(emsp))
        token = other.simulator.hub.sends
        assert check(emsp, f"--token={token}", capsys=capsys) == (0, {})
        party = str(emsp.simulator.party)
        assert check(emsp, f"--token={token}", "--party", party, capsys=capsys) == (0, {})
        other.unregister()


@pytest.mark.parametrize(
    ("fault", "rule", "seen"),
    [
        ({"ignores_offset": True}, CONTINUES, "objects of the first page come again"),
        ({"overlapping_pages": True}, CONTINUES, "1 objects of the first page come again"),
        ({"total_of_page": True}, CONTINUES, "X-Total-Count is 7, 3, 3"),
        ({"ignores_dates": True}, APPLIED, "objects are older than date_from"),
        ({"dates_off_by_one": True}, APPLIED, "that are as new are not there"),
        ({"total_ignores_dates": True}, APPLIED, "X-Total-Count is 7 of 7"),
    ],
)
def test_what_one_page_does_not_show_two_do(emsp, fault, rule, seen, capsys):
    emsp.set_faults(module="tokens", **fault)
    code, failed = check(emsp, "--token-a", invited(emsp), capsys=capsys)
    assert code == 1
    assert seen in failed[rule.id]["came"], failed


def test_a_total_that_is_wrong_is_one_failure(emsp, capsys):
    emsp.set_faults(module="tokens", total_ignores_dates=True)
    _, failed = check(emsp, "--token-a", invited(emsp), capsys=capsys)
    assert set(failed) == {APPLIED.id}


def test_a_list_that_changes_between_two_requests_is_no_fault(emsp, capsys):
    """Once: what differs is asked again, and then it stands still."""
    changes = iter(["2026-02-01T10:00:00Z"])
    usual = emsp.simulator.modules["tokens", "sender"]["GET"]

    async def busy(message):
        if message.query.get("offset") == "0" and (moment := next(changes, None)):
            reply = await usual(message)
            emsp.simulator.issue("new", "RFID")["last_updated"] = moment
            first = next(iter(emsp.simulator.tokens.values()))
            first["last_updated"] = moment
            return reply
        return await usual(message)

    emsp.simulator.modules["tokens", "sender"]["GET"] = busy
    try:
        assert check(emsp, "--token-a", invited(emsp), capsys=capsys) == (0, {})
        assert next(changes, None) is None
    finally:
        emsp.simulator.modules["tokens", "sender"]["GET"] = usual
        del emsp.simulator.tokens["NEW"]


def test_urls_of_another_scheme_are_one_finding_and_called_all_the_same(cpo, capsys):
    with Running(Emsp()) as other:
        other.register(cpo.versions_url, invited(cpo))
        cpo.set_faults(module="versions", hard_coded_https=True)
        token = other.simulator.hub.sends
        code, failed = check(cpo, f"--token={token}", capsys=capsys)
        other.simulator.connections.clear()
        cpo.simulator.connections.clear()
        cpo.simulator.by_token.clear()
    assert code == 1
    assert "versions.scheme" in failed
    # The lists are read all the same: nothing of theirs is wrong.
    assert not [rule for rule in failed if rule.startswith(("lists.", "objects."))]
    assert cpo.received(module="locations", method="GET")


def test_who_cannot_be_checked_is_2(emsp, capsys):
    for arguments in (("--token", "wrong"), ("--token-a", "wrong"), ()):
        assert run(emsp.versions_url, *arguments, capsys=capsys) == (2, "")
    assert run("http://127.0.0.1:9/versions", "--token", "x", capsys=capsys) == (2, "")
    assert run("not a url", "--token", "x", capsys=capsys) == (2, "")


def test_the_process_says_what_an_engineer_needs(emsp):
    emsp.set_faults(module="tokens", overlapping_pages=True)
    command_line = [sys.executable, "-m", "party", "check", emsp.versions_url]
    done = subprocess.run(
        [*command_line, "--token-a", invited(emsp)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.startswith(f"{emsp.simulator.party}: ")
    shown = " ".join(done.stdout.split())
    assert "FAILED A second page continues where the first one ended" in shown
    assert f"sent GET {emsp.url}/api/ocpi/2.2.1/sender/tokens?offset=3&limit=3" in shown
    without = subprocess.run(command_line, capture_output=True, text=True, timeout=60, check=False)
    assert (without.returncode, without.stdout) == (2, "")
    assert "A token is needed" in without.stderr
