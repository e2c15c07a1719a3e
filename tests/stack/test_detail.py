"""The log of the demo: what is routine goes into a file, what is not stays on the screen."""

import stat

from stack.detail import Detail

TRACEBACK = "    | ValueError: no such thing"


def test_routine_lines_go_to_the_file_and_all_others_are_shown(tmp_path, capfdbinary):
    file = tmp_path / "data" / "messages.log"
    detail = Detail(file)
    told = "INFO    hub.messages GET /ocpi/versions from Demo CPO to hub: HTTP 200"
    for name, line in (
        ("web-1", told),
        ("postgres", "LOG:  database system is ready to accept connections"),
        ("valkey", "12:M 29 Nov 2026 21:09:39.175 * Ready to accept connections"),
        ("migrate", "  Applying hub.0001_initial... OK"),
        ("web-1", "WARNING hub.parties.party_status Demo CPO is OFFLINE (no answer)"),
        ("web-1", TRACEBACK),
        ("postgres", "FATAL:  the database system is starting up"),
    ):
        detail.sink(name, line)

    lines = file.read_text().splitlines()
    assert [line.split(" ", 1)[1][:10].strip() for line in lines] == [
        "web-1", "postgres", "valkey", "migrate",
    ]  # fmt: skip
    assert lines[0].endswith(told)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    shown = capfdbinary.readouterr().out.decode()
    assert told not in shown
    assert [part in shown for part in ("is OFFLINE", TRACEBACK, "FATAL")] == [True] * 3


def test_lines_that_cannot_be_written_are_shown(tmp_path, capfdbinary):
    Detail(tmp_path).sink("web-1", "INFO    told")  # a folder is not a file
    assert b"told" in capfdbinary.readouterr().out


def test_a_file_that_is_too_large_begins_anew(tmp_path, capfdbinary):
    detail = Detail(tmp_path / "messages.log", biggest=10)
    for number in range(3):
        detail.sink("web-1", f"INFO    line {number}")
    assert "line 2" in (tmp_path / "messages.log").read_text()
    assert "line 1" in (tmp_path / "messages.log.1").read_text()
