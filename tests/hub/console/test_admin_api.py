"""The admin API: keys with roles, tables, acts; nothing in it that opens something."""

import json
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, Final

import pytest
import time_machine
from django.contrib.auth.models import User
from django.test import Client
from django.urls import get_resolver
from django.utils import timezone

from charging_profiles.models import ProfileCommand
from hub.console.access.models import Account, AdminKey, AuditEntry
from hub.console.access.roles import Role
from hub.console.api import document, keys
from hub.console.api.acts import ACTS
from hub.console.api.tables import TABLES
from hub.models import Agreement, Delivery, DeliveryState, Party, Platform
from hub.models.quotas import Usage
from sessions.models import Session
from tests.cases import case
from tests.hub.commands.calling import run
from tests.hub.console import rows
from tests.hub.recording import message

pytestmark = pytest.mark.usefixtures("filled")
BASE: Final = "/admin-api/v1"
# Who may read which table: R read-only, V privacy, P a party's staff; an operator reads all.
READ: Final = {
    "erasures": "OV",
    "body-recordings": "OV",
    "audit": "OV",
    "flex-keys": "O",
    **dict.fromkeys(("parties", "deliveries", "checks", "deviations"), "ORP"),
    **dict.fromkeys(("sessions", "profile-commands", "tokens", "cdrs", "preferences"), "ORV"),
}
ROLES: Final = {
    "O": Role.OPERATOR,
    "R": Role.READER,
    "V": Role.PRIVACY,
    "P": Role.PARTY,
}


class Program:
    """A client with a key."""

    def __init__(self, secret: str) -> None:
        self._asks = Client(headers={"Authorization": f"Bearer {secret}"})

    def get(self, path: str) -> Any:
        return self._asks.get(f"{BASE}/{path}")

    def rows(self, path: str) -> list[dict[str, Any]]:
        answer = self.get(path)
        assert answer.status_code == 200, answer.content
        return list(answer.json()["rows"])

    def send(self, path: str, body: Any = None, method: str = "post") -> Any:
        sends = getattr(self._asks, method)
        sent = json.dumps({} if body is None else body)
        return sends(f"{BASE}/{path}", sent, content_type="application/json")


@pytest.fixture(autouse=True)
def _nobody_has_tried() -> Iterator[None]:
    keys.throttle._whole_at.clear()
    yield
    keys.throttle._whole_at.clear()


@pytest.fixture
def programs(db) -> dict[str, Program]:
    """One for each role; the party is NL-CPO."""
    return {
        letter: Program(
            keys.make(
                role, name=letter, made_by="test", parties=["NL-CPO"] if letter == "P" else []
            ).secret
        )
        for letter, role in ROLES.items()
    }


def test_a_key_opens_until_it_is_revoked_or_over(programs):
    made = keys.make(Role.READER, name="a", made_by="test")
    assert made.secret not in str(vars(AdminKey.objects.get(pk=made.key.pk)))
    assert Program(made.secret).get("me").json()["role"] == "READER"
    assert AdminKey.objects.get(pk=made.key.pk).last_used_at is not None
    keys.revoke(made.key)
    over = keys.make(
        Role.READER, name="", made_by="", expires_at=timezone.now() - timedelta(seconds=1)
    )
    for secret, code in (
        (made.secret, "KEY_REVOKED"),
        (over.secret, "KEY_EXPIRED"),
        (f"{made.secret[:-1]}%", "KEY_UNKNOWN"),
        ("", "KEY_UNKNOWN"),
    ):
        with case(code):
            answer = Program(secret).get("me")
            assert (answer.status_code, answer.json()["code"]) == (401, code)
    assert Client().get(f"{BASE}/me").json()["code"] == "KEY_MISSING"
    # One comes back after each pause, however slow the machine is.
    for _ in range(10 * keys.TRIES.at_once):
        answer = Program(f"fxa_{'0' * 12}_{'a' * 43}").get("me")
        if answer.status_code == 429:
            break
    assert answer.status_code == 429
    assert programs["R"].get("me").status_code == 200, "a key that is known is not kept waiting"


def test_each_role_reads_its_tables_and_no_secret(programs):
    for table in TABLES:
        letters = READ.get(table.name, "OR")
        for letter, program in programs.items():
            with case(table.name, letter):
                answer = program.get(table.name)
                assert answer.status_code == (200 if letter in letters else 403)
                text = answer.content.decode()
                secrets = (rows.TOKEN_UID, rows.CONTRACT_ID, "secret=1", "fxk_")
                for secret in (*secrets, *ProfileCommand.objects.values_list("key", flat=True)):
                    assert secret not in text
        if table.model.objects.exists():
            found = programs["O"].rows(table.name)
            assert found, table.name
            pk = found[0].get("id", found[0].get("command_id"))
            assert programs["O"].get(f"{table.name}/{pk}").json() == found[0]


def test_a_party_reads_its_own_rows(programs):
    message(sender="DE-MSP", receiver="NL-SCS", correlation_id="theirs")
    message(correlation_id="ours")
    own = programs["P"]
    assert {one["party"] for one in own.rows("parties")} == {"NL-CPO"}
    assert {one["correlation_id"] for one in own.rows("messages")} == {"ours"}
    assert own.get("exchanges/theirs").status_code == 404
    assert programs["R"].get("exchanges/theirs").status_code == 200
    other = Party.objects.get(party_id="MSP")
    assert own.get(f"parties/{other.pk}").status_code == 404
    assert own.send("parties/DE-MSP/check").status_code == 404
    assert own.send("parties/NL-CPO/suspend").status_code == 403
    for path in ("owed", "backups"):
        assert (own.get(path).status_code, programs["R"].get(path).status_code) == (403, 200)


def test_a_key_that_asks_without_end_waits_and_fills_no_trail(programs):
    refused = AuditEntry.objects.filter(is_refused=True)
    with time_machine.travel("2026-03-01T10:00:01Z", tick=False):
        for _ in range(3):
            assert programs["R"].send("parties/NL-CPO/suspend").status_code == 403
        assert refused.count() == 1
        assert programs["R"].send("parties/NL-CPO/resume").status_code == 403
        assert refused.count() == 2
    prefix = programs["R"].get("me").json()["prefix"]
    keys.rates._whole_at["", prefix] = time.monotonic() + 10_000
    waits = programs["R"].get("me")
    assert (waits.status_code, waits.json()["code"]) == (429, "TOO_MANY")
    assert int(waits["Retry-After"]) > 1
    assert programs["O"].get("me").status_code == 200
    del keys.rates._whole_at["", prefix]


def test_a_response_url_is_shown_to_whom_it_belongs(programs):
    """Whoever knows it can answer in the CPO's stead: others see its host, and nobody its query."""
    scsp, browser = Platform.objects.get(name="Slimladen"), Client()
    user = User.objects.create(username="staff", is_staff=True)
    account = Account.objects.create(user=user, role=Role.PARTY, parties=["NL-CPO"])
    browser.force_login(user)
    result = Delivery.objects.create(
        receiver=scsp,
        module="chargingprofiles",
        method="POST",
        path="https://u:pw@scsp.example/results/4711?token=open-sesame",
        from_country_code="NL",
        from_party_id="CPO",
        to_country_code="NL",
        to_party_id="SCS",
    )
    page = f"/admin/hub/delivery/{result.pk}/change/"
    for shown in (
        json.dumps(programs["P"].get(f"deliveries/{result.pk}").json()),
        json.dumps(programs["P"].rows("deliveries")),
        browser.get(page).content.decode(),
    ):
        assert "https://scsp.example/…" in shown.replace("\\u2026", "…")
        assert "4711" not in shown
    account.parties = ["NL-SCS"]
    account.save()
    for shown in (
        programs["O"].get(f"deliveries/{result.pk}").content.decode(),
        browser.get(page).content.decode(),
    ):
        assert "scsp.example/results/4711" in shown
        assert "sesame" not in shown


def test_lists_are_paged_and_narrowed(programs):
    program = programs["O"]
    whole = program.rows("sessions")
    pages: list[dict[str, Any]] = []
    before = ""
    while True:
        answer = program.get(f"sessions?limit=3{before}").json()
        pages += answer["rows"]
        if "before" not in answer:
            break
        before = f"&before={answer['before']}"
    assert pages == whole
    assert {one["status"] for one in program.rows("sessions?status=active")} == {"ACTIVE"}
    for query in ("limit=0", "limit=x", "before=-1", "colour=red", "status=%00"):
        with case(query):
            assert program.get(f"sessions?{query}").status_code == 400
    assert program.get("nothing").status_code == 404
    assert program.get("sessions/99999999999999999999").status_code == 404
    assert Client().get("/admin-api/v2/x").json()["code"] == "NOT_FOUND"


def test_rows_are_written_by_the_forms_of_the_console(programs):
    program = programs["O"]
    made = program.send("agreements", {"one": "NL-CPO", "other": "NL-SCS", "note": "n"})
    assert made.status_code == 201, made.content
    assert made.json()["parties"] == ["NL-CPO", "NL-SCS"]
    assert made.json()["is_open"] is True or made.json()["is_open"] is False
    pk = made.json()["id"]
    changed = program.send(f"agreements/{pk}", {"is_open": True}, "patch").json()
    assert (changed["is_open"], changed["note"]) == (True, "n")
    told = AuditEntry.objects.order_by("-id")[0]
    assert (told.about, told.object_id, told.detail) == ("hub.agreement", str(pk), "fields is_open")
    assert program.send(f"agreements/{pk}", None, "delete").status_code == 204
    assert not Agreement.objects.filter(pk=pk).exists()
    for body, word in (
        ({"one": "NL-CPO", "other": "NL-CPO"}, "two parties"),
        ({"one": "NL-XXX"}, "one:"),
        ({"colour": 1}, "known are"),
        ([], "object"),
    ):
        with case(body):
            refused = program.send("agreements", body)
            assert refused.status_code == 400
            assert word in refused.json()["detail"]
    usage = Usage.objects.create(party="NL-CPO", what="locations")
    assert program.send(f"quotas/{usage.pk}", {"quota": 7}, "patch").json()["quota"] == 7
    platform = Platform.objects.get(name="Volt Charging B.V.")
    changes = {"requests_per_second": 5.5, "pull_rule": "NEVER"}
    assert program.send(f"platforms/{platform.pk}", changes, "patch").status_code == 200
    platform.refresh_from_db()
    assert (platform.requests_per_second, platform.pull_rule) == (5.5, "NEVER")
    assert bytes(platform.token_c_hash or b""), "what is not sent stays"
    site = {"cpo": "NL-CPO", "name": "Depot", "members_": "LOC1\nLOC2 EVSE1"}
    assert program.send("sites", site).json()["members"] == ["LOC1", "LOC2 EVSE1"]
    until = f"{timezone.now() + timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}"
    recorded = program.send("body-recordings", {"who": "NL-CPO", "until": until})
    assert recorded.json()["until"] == until, recorded.content
    words = {"fsp_party": "NL-SCS", "cpo_party": "FR-BDS", "said_by": "CPO"}
    assert program.send("flex-agreements", words).status_code == 201
    for letter in "RVP":
        assert programs[letter].send("agreements", {"one": "NL-CPO"}).status_code == 403
    assert program.send("sessions", {}).status_code == 405


def test_an_invitation_shows_its_token_once(programs):
    body = {"country_code": "nl", "party_id": "inv", "roles": ["CPO"], "name": "Invited"}
    made = programs["O"].send("invitations", body)
    assert made.status_code == 201
    assert set(made.json()) == {"party", "token", "versions_url"}
    assert made.json()["token"] not in programs["O"].get("parties").content.decode()
    told = AuditEntry.objects.order_by("-id")[0]
    assert (told.way, told.act, told.object_name) == ("API", "invitations", "NL-INV")
    assert told.who.startswith("fxa_")
    assert made.json()["token"] not in str(vars(told))
    assert programs["O"].send("invitations", body | {"roles": ["HUB"]}).status_code == 400
    assert programs["O"].send("invitations", body | {"party_id": "TOOLONG"}).status_code == 400
    registered = programs["O"].send("invitations", body | {"party_id": "CPO"})
    assert registered.status_code == 409
    assert programs["R"].send("invitations", body).status_code == 403
    assert AuditEntry.objects.order_by("-id")[0].is_refused


def test_acts_call_what_the_console_calls(programs):
    program = programs["O"]
    assert program.send("parties/NL-CPO/suspend").json()["status"] == {"CPO": "SUSPENDED"}
    assert program.send("parties/NL-CPO/resume").json()["status"] == {"CPO": "CONNECTED"}
    assert program.send("parties/NL-CPO/resume").status_code == 409
    assert program.send("parties/NL-ZUN/agree").json()["status"] == {"EMSP": "CONNECTED"}
    assert program.send("parties/XX-NO1/suspend").status_code == 404
    assert program.send("parties/oddly/suspend").status_code == 400
    assert program.send("parties/NL-CPO/check").status_code == 202
    to_cpo = {"to_country_code": "NL", "to_party_id": "CPO", "is_kept": True}
    failed = Delivery.objects.filter(state=DeliveryState.FAILED)
    failed.update(**to_cpo)
    again = programs["P"].send(f"deliveries/{failed.get().pk}/resend")
    assert set(again.json()) == {"resent", "left"}
    assert programs["P"].send("resend", {"party": "NL-SCS"}).status_code == 404
    assert program.send("resend", {"party": "NL-SCS", "module": "sessions"}).status_code == 200
    session = Session.objects.get(session_id="S-00001")
    chosen = program.send("sessions/NL-CPO/S-00001/fsp", {"who": "EMSP"})
    assert chosen.status_code == 200, chosen.content
    assert program.send("sessions/NL-CPO/S-00001/fsp").status_code == 200
    assert program.send("sessions/NL-CPO/nothing/fsp", {"who": "EMSP"}).status_code == 404
    made = program.send("flex-keys", {"party": "NL-SCS", "opens": ["FSP"]}).json()
    assert made["secret"].startswith("fxk_")
    pk = next(one["id"] for one in program.rows("flex-keys") if one["prefix"] == made["prefix"])
    assert program.send(f"flex-keys/{pk}/revoke").status_code == 200
    assert program.send(f"flex-keys/{pk}/revoke").status_code == 409
    erased = programs["V"].send(
        "erasures", {"emsp": "DE-MSP", "token_uid": rows.TOKEN_UID, "dry_run": True}
    )
    assert erased.json()["erased"]["tokens"] > 0
    assert Session.objects.filter(pk=session.pk).exists()
    assert programs["R"].send("erasures", {}).status_code == 403
    assert rows.TOKEN_UID not in str(list(AuditEntry.objects.values()))


def test_a_key_is_made_at_the_console_and_on_the_machine(console):
    page = "/admin/access/adminkey/add/"
    sent = {"name": "ci", "role": "READER", "parties": "", "days": "30"}
    shown = console.post(page, sent)
    secret = shown.context["secret"]
    assert Program(secret).get("me").json()["name"] == "ci"
    assert secret not in console.get("/admin/access/adminkey/").content.decode()
    made = json.loads(run("admin_key", "party", "--party", "NL-CPO", "--json"))
    assert Program(made["key"]).get("me").json()["parties"] == ["NL-CPO"]
    run("admin_key", "--revoke", made["prefix"])
    assert Program(made["key"]).get("me").status_code == 401
    told = AuditEntry.objects.filter(act="admin_key").order_by("id")
    assert made["key"] not in str(list(told.values()))
    assert told.count() == 2


def test_the_document_describes_each_url_and_no_other():
    found = json.loads(Client().get(f"{BASE}/openapi.json").content)
    resolver = get_resolver()
    for path, operations in found["paths"].items():
        address = path.replace("{pk}", "1").replace("{", "").replace("}", "")
        view = resolver.resolve(address).func.view_class
        for method in operations:
            with case(method, path):
                assert hasattr(view, method)
    described = {path.removeprefix(f"{BASE}/") for path in found["paths"]}
    assert {one.path for one in ACTS} <= described
    assert {table.name for table in TABLES} <= described
    ids = [one["operationId"] for ops in found["paths"].values() for one in ops.values()]
    assert len(set(ids)) == len(ids)
    assert document.BASE == BASE
