"""The conformance check against parties with exactly these faults, and against clean ones."""

import json
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from hub.conformance import check as conformance
from hub.conformance.met_in_practice import Noted
from hub.conformance.models import AwaitedResult, ConformanceCheck
from hub.conformance.text import report
from hub.deviations import noting
from hub.ocpi.lenient import Deviation
from hub.store.pushed import EVERYBODY
from locations.models import Location
from party.check.chapters import CHAPTERS
from party.check.findings import Finding, Outcome
from party.check.transport import NO_JSON
from sessions.objects import CdrToken, TokenType
from simulators.cpo import Cpo
from simulators.emsp import Emsp
from simulators.testing import Running
from tests.hub.commands.calling import run
from tests.running_hub import new_party


@pytest.fixture(scope="module")
def operator(hub) -> Running[Cpo]:
    """A CPO with sessions that it shows to the hub, at EVSEs that take profiles."""
    running = hub.join(Cpo(new_party()))
    driver = CdrToken("NL", "HUB", "SIM-TOKEN-1", TokenType.APP_USER, "DE-MSP-C1-X")
    for _ in range(3):
        running.run(running.simulator.start_session(token=driver))
    return running


@pytest.fixture(scope="module")
def provider(hub) -> Running[Emsp]:
    """An eMSP with several tokens."""
    simulator = Emsp(new_party())
    for number in range(3):
        simulator.issue(f"Card-{number}", "RFID")
    return hub.join(simulator)


@pytest.fixture(autouse=True)
def _well_again(request) -> Any:
    yield
    for name in ("operator", "provider"):
        if name in request.fixturenames:
            request.getfixturevalue(name).clear_faults()


def findings(running: Running[Any], *, push: bool = False, **more: Any) -> list[Finding]:
    row = conformance.prepare(running.simulator.party, push=push)
    conformance.run(row, **more)
    return row.all_findings


def failed(found: list[Finding]) -> dict[str, Finding]:
    return {one.rule: one for one in found if one.outcome is Outcome.FAILED}


@pytest.mark.parametrize("push", [False, True])
@pytest.mark.parametrize("kind", ["cpo", "emsp", "scsp"])
def test_clean_parties_pass_every_rule_that_can_be_tried(hub, operator, provider, kind, push):
    running = {"cpo": operator, "emsp": provider}.get(kind) or hub.scsp
    found = findings(running, push=push)
    assert failed(found) == {}
    rules = {rule.id for chapter in CHAPTERS for rule in chapter.rules}
    assert {one.rule for one in found} == rules
    assert all(one.advice for one in found if one.outcome is Outcome.NOT_TRIED)
    passed = {one.rule for one in found if one.outcome is Outcome.PASSED}
    assert {"versions.2.2.1", "authorization.wrong", "transport.ids", "transport.slash"} <= passed
    if kind == "cpo":
        wanted = {"lists.link", "lists.x-limit-last", "objects.case", "commands.response"}
        assert wanted <= passed
        assert ("push.patch" in passed) == push
    if kind == "emsp":
        assert {"tokens.authorize-unknown", "lists.offset"} <= passed
        assert ("push.deleted" in passed) == push


# Fault, with what it is switched on for; and the rules that have to find it, each with its text.
AT_A_CPO: list[tuple[dict[str, Any], str, str]] = [
    ({"plain_tokens_only": True}, "authorization.base64", "and plain: HTTP 200"),
    ({"any_token": True}, "authorization.missing", "HTTP 200"),
    ({"any_token": True}, "authorization.wrong", "HTTP 200"),
    ({"module": "locations", "any_token": True}, "authorization.wrong", "HTTP 200"),
    ({"module": "versions", "other_versions": True}, "versions.2.2.1", "2.1.1"),
    ({"module": "versions", "http_500": True}, "versions.list", "Internal Server Error"),
    ({"module": "versions", "doubled_endpoints": True}, "versions.once", "locations SENDER"),
    ({"module": "versions", "no_credentials_endpoint": True}, "versions.credentials", ""),
    ({"module": "versions", "clientinfo_renamed": True}, "versions.identifiers", "clientinfo"),
    ({"module": "versions", "hard_coded_https": True}, "versions.scheme", "https://"),
    ({"module": "hubclientinfo", "clientinfo_moved": True}, "hubclientinfo.here", "/clientinfo:"),
    ({"wrong_json": True}, "transport.envelope", "HTTP 200"),
    ({"module": "locations", "wrong_json": True}, "transport.envelope", "HTTP 200"),
    ({"module": "locations", "http_500": True}, "transport.errors", "Internal Server Error"),
    ({"module": "sessions", "not_an_envelope": True}, "transport.errors", "Validation failed"),
    ({"html_errors": True}, "transport.errors", "<h1>An error</h1>"),
    ({"html_errors": True}, "objects.unknown", "<h1>An error</h1>"),
    ({"odd_timestamp": True}, "transport.timestamp", "+00:00"),
    ({"data_as_list": True}, "transport.list-of-one", "answers"),
    ({"no_message_ids": True}, "transport.ids", "X-Request-ID: absent"),
    ({"no_ids_on_errors": True}, "transport.ids-on-errors", "X-Correlation-ID: absent"),
    ({"no_routing_headers": True}, "transport.routing", "no routing headers"),
    ({"routing_not_swapped": True}, "transport.routing", "OCPI-to-party-id"),
    ({"redirect_missing_slash": True}, "transport.slash", "307 to"),
    ({"always_200": True}, "transport.not-json", "HTTP 200, OCPI 2001"),
    ({"always_200": True}, "transport.no-endpoint", "HTTP 200"),
    ({"always_200": True}, "authorization.wrong", "HTTP 200"),
    ({"unknown_is_empty": True}, "objects.unknown", "HTTP 200, OCPI 1000"),
    ({"module": "tariffs", "big_answer": 2_100_000}, "transport.size", " bytes"),
    ({"module": "tariffs", "hang_up": True}, "transport.in-time", "without an answer"),
    ({"nan_is_json": True}, "transport.not-json", "HTTP 200"),
    ({"http_422": True}, "transport.refusals", "HTTP 422"),
    ({"foreign_objects": True}, "lists.owners", "-ZZZ"),
    ({"overflows": True}, "lists.offset", "HTTP 500"),
    ({"case_sensitive_ids": True}, "objects.case", "HTTP 404"),
    ({"wrong_objects": True}, "lists.objects", "$.country_code"),
    ({"no_paging_headers": True}, "lists.total", "absent"),
    ({"no_paging_headers": True}, "lists.x-limit", "absent"),
    ({"last_page_limit": True}, "lists.x-limit-last", "X-Limit 1 on the last page"),
    ({"enum_repr_in_link": True}, "lists.link", "ModuleID.sessions"),
    ({"hard_coded_https": True}, "lists.link", "https://"),
    ({"relative_link": True}, "lists.link", "Link: </api"),
    ({"ignores_limit": True}, "lists.limit", "3 objects"),
    ({"ignores_offset": True}, "lists.offset", "3 objects"),
    ({"ignores_dates": True}, "lists.date-from", "objects of the future"),
    ({"ignores_dates": True}, "lists.date-to", "of that moment or later"),
    ({"dates_off_by_one": True}, "lists.date-from", "without the object of that very moment"),
    ({"dates_off_by_one": True}, "lists.date-to", "of that moment or later"),
    ({"newest_first": True}, "lists.order", "last_updated falls"),
    ({"no_timeout": True}, "commands.response", "timeout"),
    ({"no_timeout": True}, "profiles.response", "timeout"),
    ({"accepts_unknown_sessions": True}, "commands.unknown-session", "ACCEPTED"),
    ({"accepts_unknown_sessions": True}, "profiles.unknown-session", "ACCEPTED"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("fault", "rule", "seen"), AT_A_CPO, ids=[f"{'-'.join(f)}-{r}" for f, r, _ in AT_A_CPO]
)
def test_a_fault_of_a_cpo_is_found(operator, fault, rule, seen):
    operator.set_faults(**fault)
    found = failed(findings(operator))
    assert rule in found, sorted(found)
    assert seen in found[rule].came, found[rule]
    assert found[rule].sent or rule.startswith("transport")
    assert found[rule].advice
    assert found[rule].chapter


@pytest.mark.parametrize("fault", [{"always_200": True}, {"unknown_is_empty": True}])
def test_an_unknown_token_that_is_not_404_is_found_at_an_emsp(provider, fault):
    provider.set_faults(module="tokens", **fault)
    assert "tokens.authorize-unknown" in failed(findings(provider))


def test_one_fault_is_one_failure_and_not_twenty(operator):
    operator.set_faults(case_sensitive_ids=True)
    assert set(failed(findings(operator))) == {"objects.case"}
    operator.clear_faults()
    operator.set_faults(odd_timestamp=True)
    assert set(failed(findings(operator))) == {"transport.timestamp"}


def test_hub_client_info_elsewhere_is_allowed_when_the_details_say_so(hub):
    simulator = Cpo(new_party())
    simulator.faults.set(module="versions", clientinfo_path=True)
    running = hub.join(simulator)
    found = findings(running)
    assert failed(found) == {}
    (here,) = (one for one in found if one.rule == "hubclientinfo.here")
    assert "…/clientinfo, which is allowed" in here.came


def test_slow_answers_are_found_and_end(operator):
    operator.set_faults(module="tariffs", slow=2.0)
    found = failed(findings(operator, seconds=0.5))
    assert "did not answer in time" in found["transport.in-time"].came
    assert "lists.page" not in found


def test_a_party_that_is_gone_is_one_sentence(hub):
    running = hub.join(Cpo(new_party()))
    running.stop()
    found = findings(running)
    assert set(failed(found)) == {"transport.in-time"}
    assert "connection refused" in found[0].came
    assert {one.outcome for one in found[1:]} == {Outcome.NOT_TRIED}


# --- With push ------------------------------------------------------------------------------------


def test_the_result_of_an_active_profile_is_awaited(operator):
    found = findings(operator, push=True)
    (result,) = (one for one in found if one.rule == "profiles.result")
    assert result.outcome is Outcome.PASSED, result
    assert "result ACCEPTED after" in result.came


def test_a_result_that_is_never_posted_is_found(operator):
    operator.set_faults(module="chargingprofiles", silent_after_accepted=True, timeout=1)
    found = failed(findings(operator, push=True))
    assert "no result within the timeout of 1 s" in found["profiles.result"].came


def test_a_result_whose_query_is_dropped_is_found(operator):
    operator.set_faults(module="chargingprofiles", drop_callback_query=True)
    found = failed(findings(operator, push=True))
    assert "without the query" in found["profiles.result"].came


def test_nothing_is_pushed_unless_asked(operator, provider):
    for running in (operator, provider):
        before = len(running.received())
        findings(running)
        # Of others that come and go the hub tells it besides.
        sent = [
            m
            for m in running.received()[before:]
            if (m.module, m.method) != ("hubclientinfo", "PUT")
        ]
        bodies = [m for m in sent if m.body not in {b"", *NO_JSON}]
        assert {m.parts[0] for m in bodies} <= {"STOP_SESSION"}
        assert {m.method for m in sent} <= {"GET", "POST", "PUT"}
        assert all("HUB-CHECK" in m.path for m in sent if m.method == "PUT")


def test_what_is_pushed_is_marked_and_ends(operator, provider):
    findings(operator, push=True)
    findings(provider, push=True)
    assert not provider.simulator.tariffs.objects
    (*_, sent) = (
        message.json()
        for message in operator.received(module="tokens", method="PUT")
        if message.body not in NO_JSON
    )
    assert sent["uid"].startswith("HUB-CHECK")
    assert (sent["valid"], sent["whitelist"]) == (False, "NEVER")
    assert "not real" in sent["issuer"]


def test_a_result_of_somebody_else_is_not_taken(hub, operator, provider):
    platform = conformance.prepare(operator.simulator.party).platform
    row = AwaitedResult.objects.create(platform=platform)
    path = f"/ocpi/2.2.1/check-result/{row.key}"
    body = b'{"result":"ACCEPTED"}'
    for party, said in ((provider, 404), (operator, 200), (operator, 200)):
        token = party.simulator.hub.sends
        answer = hub.http("POST", path, token, body=body if said == 404 else body + b" ")
        assert answer.status_code == said
    row.refresh_from_db()
    assert bytes(row.body or b"") == body + b" "


# --- Kept, printed, queued ------------------------------------------------------------------------


def test_the_command_prints_what_an_engineer_needs(operator):
    party = operator.simulator.party
    told = run("check_party", *party)
    assert told.startswith(f"{party} (Simulated CPO), checked at")
    assert " 0 failed" in told.splitlines()[1]
    operator.set_faults(case_sensitive_ids=True)
    out = StringIO()
    with pytest.raises(CommandError, match="1 rule has failed") as caught:
        call_command("check_party", *party, stdout=out)
    assert caught.value.returncode == 1
    for text in (
        "FAILED  Ids are compared without regard to case [locations]",
        "text    types, CiString",
        f"sent    GET {operator.url}/api/ocpi/2.2.1/sender/locations/loc1",
        "came    HTTP 404, OCPI 2000 (There is no such Location.); the id is LOC1",
        "change  Compare CiStrings without case",
    ):
        assert text in out.getvalue()
    out = StringIO()
    with pytest.raises(CommandError):
        call_command("check_party", *party, "--json", stdout=out)
    told = json.loads(out.getvalue())
    assert told["failed"] == 1
    assert told["party"] == str(party)
    assert {"rule", "chapter", "title", "outcome", "sent", "came", "advice"} <= set(
        next(one for one in told["findings"] if one["outcome"] == "FAILED")
    )


def test_what_the_hub_has_noted_stands_beside_it(operator):
    party = operator.simulator.party
    platform = conformance.prepare(party).platform
    odd = Deviation("date-time", "Location.last_updated", "2026-01-01 10:00:00\x1b[2J")
    noting.note(platform.pk, [*(Deviation("too-long", f"Tariff.a{n}") for n in range(40)), odd])
    noting.flush()
    told = run("check_party", *party)
    assert " 0 failed" in told.splitlines()[1]
    [shown] = [part for part in told.split("\n\n") if part.startswith("NOTED IN WHAT IT SENDS")]
    assert "  Location.last_updated: a time that is spelled otherwise" in shown
    assert "        counted once, 20" in shown
    assert "        example 2026-01-01 10:00:00 [2J" in shown
    assert "        text    types, DateTime: 2015-06-29T20:39:09Z" in shown
    assert shown.count("Tariff.a") == 29
    assert "and 11 more: -v 2" in shown
    assert run("check_party", *party, "-v", "2").count("Tariff.a") == 40
    told = json.loads(run("check_party", *party, "--json"))
    assert len(told["deviations"]) == 41
    assert told["left_out_for_others"] == told["left_out_for_it"] == []


def test_what_is_left_out_stands_beside_it_without_for_whom(operator, provider):
    owner, receiver = operator.simulator.party, provider.simulator.party
    run("leave_out_deviations", *receiver)
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    identity = {"owner": str(owner), "object_id": "ODD"}
    Location.keep(identity, EVERYBODY, b"{}", moment, deviates=True)
    try:
        told = run("check_party", *owner)
        assert "LEFT OUT FOR PLATFORMS THAT WANT NO DEVIATIONS" in told
        assert f"  locations of {owner}: 1 (ODD) for 1 platform now; 0 pushes not sent" in told
        assert str(receiver) not in told
        told = run("check_party", *receiver)
        heading = "LEFT OUT FOR IT, WHICH WANTS NO DEVIATIONS"
        assert f"{heading}\n  locations of {owner}: 1 (ODD) now" in told
    finally:
        Location.named(identity).delete()
        run("leave_out_deviations", *receiver, "--off")


def test_no_token_is_kept_or_printed(operator):
    operator.set_faults(always_200=True)
    row = conformance.prepare(operator.simulator.party, push=True)
    conformance.run(row)
    text = report(row, Noted.of(row.platform_id)) + json.dumps(row.findings)
    for connection in operator.simulator.connections:
        assert connection.sends not in text
        assert connection.accepts not in text


def test_who_cannot_be_checked(hub):
    with pytest.raises(CommandError, match="NL-XXX is not a party of this hub"):
        run("check_party", "NL", "XXX")
    invited = new_party()
    run("invite_party", *invited, "--role", "CPO")
    with pytest.raises(CommandError, match="is not registered"):
        run("check_party", *invited)


def test_a_queued_check_is_run_by_a_worker_once(hub, operator):
    row = conformance.queue(operator.simulator.party)
    operator.wait_for(lambda: ConformanceCheck.objects.get(pk=row.pk).ended_at)
    row.refresh_from_db()
    ended = row.ended_at
    assert row.failed == 0
    assert row.passed > 20
    conformance.run(row)
    row.refresh_from_db()
    assert row.ended_at == ended


def test_a_check_that_was_lost_is_queued_again_or_ended(operator):
    # The one that is made older than it is would be forgotten behind twenty others.
    ConformanceCheck.of(operator.simulator.party).delete()
    lost = conformance.prepare(operator.simulator.party)
    before = timezone.now() - timedelta(seconds=10)
    ConformanceCheck.objects.filter(pk=lost.pk).update(created_at=before)
    dead = conformance.prepare(operator.simulator.party)
    ConformanceCheck.objects.filter(pk=dead.pk).update(began_at="2026-01-01T00:00:00Z")
    conformance.queue_waiting()
    operator.wait_for(lambda: ConformanceCheck.objects.get(pk=lost.pk).ended_at)
    dead.refresh_from_db()
    assert "lost with its worker" in dead.summary


def test_the_latest_checks_of_a_party_are_kept(hub, provider):
    party = provider.simulator.party
    for _ in range(25):
        conformance.prepare(party).end([])
    assert ConformanceCheck.of(party).count() == 20
