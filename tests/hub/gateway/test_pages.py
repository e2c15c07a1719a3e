"""What is not OCPI: /livez, /health, and a console whose visitors take nothing from OCPI."""

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from urllib.parse import urlsplit

import psycopg
import pytest
from django.conf import settings
from django.db import connection

from hub.gateway.other_pages import Pages
from simulators.testing import PATIENCE
from tests.hub.strangers import Reply, ask, send, until

SESSION = {"Cookie": "sessionid=abcdefghijklmnopqrstuvwxyz012345"}


@contextmanager
def locked(*tables: str) -> Iterator[None]:
    """Nobody else reads these tables: whoever has to waits, on its thread."""
    values = connection.settings_dict
    with psycopg.connect(
        host=values["HOST"],
        port=values["PORT"],
        user=values["USER"],
        password=values["PASSWORD"],
        dbname=values["NAME"],
    ) as own:
        own.execute(f"LOCK TABLE {', '.join(tables)} IN ACCESS EXCLUSIVE MODE")
        yield


def waiting() -> int:
    """How many statements wait for a lock."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity "
            "WHERE wait_event_type = 'Lock' AND datname = current_database()"
        )
        return int(cursor.fetchone()[0])


class Asking:
    """Requests in threads of their own; their answers when they have come."""

    def __init__(self) -> None:
        self.answers: list[Reply] = []
        self._threads: list[threading.Thread] = []

    def start(self, number: int, hub, method: str, path: str, **more) -> None:
        def run() -> None:
            self.answers.append(send(hub, method, path, **more))

        threads = [threading.Thread(target=run) for _ in range(number)]
        for thread in threads:
            thread.start()
        self._threads += threads

    def ended(self) -> list[int]:
        for thread in self._threads:
            thread.join(PATIENCE)
        return sorted(answer.status for answer in self.answers)


# --- Liveness and readiness ----------------------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_livez_says_that_the_process_lives(hub, method):
    answer = send(hub, method, "/livez")
    assert (answer.status, answer.body) == (200, b"alive\n" if method == "GET" else b"")


def test_livez_needs_no_thread_and_no_database_and_health_no_table(hub, cpo, emsp):
    """All of Django's threads wait for the database; no platform alone can take them all."""
    asking = Asking()
    threads = [
        threading.Thread(target=ask, args=(hub, party, "GET", "hubclientinfo"))
        for party in (cpo, emsp) * settings.DJANGO_THREADS
    ]
    with locked("hub_party"):
        for thread in threads:
            thread.start()
        until(lambda: waiting() >= settings.DJANGO_THREADS)
        for _ in range(20):
            assert send(hub, "GET", "/livez").status == 200
        asking.start(15, hub, "GET", "/health")
        assert asking.ended() == [200] * 15
    for thread in threads:
        thread.join(PATIENCE)


def test_health_is_told_to_any_name_and_method(hub):
    answer = send(hub, "GET", "/health", headers={"Host": "10.0.0.1:8000"})
    assert (answer.status, answer.body) == (200, b"ok\n")
    assert send(hub, "HEAD", "/health").status == 200


# --- The console's visitors ----------------------------------------------------------------------


def test_visitors_of_the_console_take_no_thread_of_ocpi(hub, cpo, emsp):
    asking = Asking()
    with locked("django_session"):
        asking.start(Pages.MOST_OF_AN_ADDRESS, hub, "GET", "/admin/", headers=SESSION)
        until(lambda: waiting() >= settings.CONSOLE_THREADS)
        for _ in range(20):
            assert ask(hub, cpo, "GET", "hubclientinfo").said == (200, 1000)
            assert ask(hub, cpo, "GET", "sender/tokens", to=emsp).said == (200, 1000)
        assert send(hub, "GET", "/health").status == 200
        # And of one address only so many are in hand.
        until(lambda: send(hub, "GET", "/static/hub/console.css").status == 503)
    assert asking.ended() == [302] * Pages.MOST_OF_AN_ADDRESS
    assert send(hub, "GET", "/static/hub/console.css").status == 200


def test_logins_have_a_thread_of_their_own_and_few_of_them_wait(hub, cpo):
    asking = Asking()
    with locked("django_session"):
        asking.start(
            Pages.MOST_OF_AN_ADDRESS - 2, hub, "GET", "/admin/login/?next=/", headers=SESSION
        )
        until(lambda: len(asking.answers) == Pages.MOST_OF_AN_ADDRESS - 2 - Pages.MOST_LOGINS)
        assert {answer.status for answer in asking.answers} == {503}
        assert all(answer.headers["retry-after"] == "1" for answer in asking.answers)
        until(lambda: waiting() == 1)
        assert send(hub, "GET", "/static/hub/console.css").status == 200
        assert ask(hub, cpo, "GET", "hubclientinfo").said == (200, 1000)
    asking.ended()


def test_bodies_that_dribble_take_their_address_alone(hub):
    address = urlsplit(hub.url)
    head = b"POST /admin/login/ HTTP/1.1\r\nHost: hub\r\nContent-Length: 100\r\n\r\na"
    with ExitStack() as stack:
        for _ in range(Pages.MOST_OF_AN_ADDRESS):
            made = socket.create_connection((address.hostname, address.port), timeout=PATIENCE)
            stack.enter_context(made).sendall(head)
        until(lambda: send(hub, "GET", "/admin/login/").status == 503)
        for path in ("/livez", "/health", "/ocpi/openapi.json"):
            assert send(hub, "GET", path).status == (503 if "openapi" in path else 200)
    until(lambda: send(hub, "GET", "/admin/login/").status == 200)


def test_a_form_is_never_large(hub):
    body = b"a" * (Pages.MAX_FORM_BYTES + 1)
    assert send(hub, "POST", "/admin/login/", body=body).status == 413


@pytest.mark.parametrize(
    "target", ["*", "/%0a%0d", "/admin/%ff", "/static/../../etc/passwd", "//x"]
)
def test_odd_paths_are_nothing_special(hub, target):
    method = "OPTIONS" if target == "*" else "GET"
    assert send(hub, method, target).status in {302, 400, 404}
