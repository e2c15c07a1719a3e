"""By which address a caller is known, and that only trusted proxies are believed about it."""

from ipaddress import ip_network

import pytest
import time_machine

from hub.fairness.callers import OTHERS, FirstOfMinute, address_of, group_of


def scope(client: str | None, *forwarded: str) -> dict:
    headers = [(b"host", b"hub"), *((b"x-forwarded-for", line.encode()) for line in forwarded)]
    return {"client": (client, 4711) if client else None, "headers": headers}


@pytest.fixture
def trusting(settings) -> None:
    """A proxy on this machine, another one before it."""
    settings.TRUSTED_PROXIES = [ip_network("127.0.0.1"), ip_network("10.0.0.0/8")]


@pytest.mark.parametrize("forwarded", [(), ("192.0.2.7",), ("192.0.2.7, 127.0.0.1",)])
def test_nobody_is_believed_unless_the_operator_says_so(forwarded):
    assert address_of(scope("127.0.0.1", *forwarded)) == "127.0.0.1"


@pytest.mark.parametrize(
    ("client", "forwarded", "address"),
    [
        ("127.0.0.1", ("192.0.2.7",), "192.0.2.7"),
        ("127.0.0.1", ("192.0.2.7, 10.0.0.9",), "192.0.2.7"),
        ("127.0.0.1", ("192.0.2.7", "10.0.0.9"), "192.0.2.7"),
        # What the caller itself wrote stands before what the proxy saw.
        ("127.0.0.1", ("10.0.0.1, 198.51.100.1, 192.0.2.7",), "192.0.2.7"),
        ("127.0.0.1", ("spoiled, 192.0.2.7",), "192.0.2.7"),
        ("127.0.0.1", ("192.0.2.7:4711",), "192.0.2.7"),
        ("127.0.0.1", ("[2001:db8::7]:4711",), "2001:db8::7"),
        ("127.0.0.1", ("2001:db8::7",), "2001:db8::7"),
        ("127.0.0.1", (), "127.0.0.1"),
        ("127.0.0.1", ("",), "127.0.0.1"),
        ("127.0.0.1", ("192.0.2.7, unknown",), "127.0.0.1"),
        ("127.0.0.1", ("10.0.0.1",) * 2, "10.0.0.1"),
        ("192.0.2.9", ("192.0.2.7",), "192.0.2.9"),
        (None, ("192.0.2.7",), "?"),
    ],
)
def test_a_trusted_proxy_names_the_caller(trusting, client, forwarded, address):
    assert address_of(scope(client, *forwarded)) == address


def test_a_list_of_proxies_of_any_length_is_read_from_its_end(trusting):
    assert address_of(scope("127.0.0.1", "10.0.0.1," * 5000 + "192.0.2.7")) == "192.0.2.7"
    assert address_of(scope("127.0.0.1", "192.0.2.7" + ",10.0.0.1" * 5000)) == "10.0.0.1"


@pytest.mark.parametrize(
    ("address", "group"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("?", "?"),
    ],
)
def test_one_line_of_ipv6_is_one_caller(address, group):
    assert group_of(address) == group


def test_the_first_of_each_address_and_minute_is_told_from_the_others():
    first = FirstOfMinute()
    with time_machine.travel("2026-03-01T10:00:59Z", tick=False) as clock:
        minute, _, is_first = first.look("192.0.2.7")
        assert is_first
        assert minute % 60 == 0
        assert first.look("192.0.2.7") == (minute, "192.0.2.7", False)
        assert first.look("192.0.2.8") == (minute, "192.0.2.8", True)
        clock.shift(1)
        assert first.look("192.0.2.7") == (minute + 60, "192.0.2.7", True)


def test_a_crowd_is_counted_together():
    first = FirstOfMinute()
    with time_machine.travel("2026-03-01T10:00:00Z", tick=False):
        for number in range(FirstOfMinute.MOST):
            assert first.look(f"a{number}")[2]
        assert first.look("one more")[1:] == (OTHERS, True)
        assert first.look("and another")[1:] == (OTHERS, False)
        assert first.look("a7")[1:] == ("a7", False)
