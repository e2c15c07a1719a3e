"""Settings out of the environment (docs/operations.md)."""

from ipaddress import ip_network
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from hub.startup.environment import Environment


def test_a_database_url_is_read_as_libpq_reads_it(monkeypatch):
    url = "postgresql://hub%40x:p%2Fw@db:5433/flex?sslmode=require&options=-c%20lock_timeout%3D5s"
    monkeypatch.setenv("DATABASE_URL", url)
    found = Environment(Path("no such file")).database("DATABASE_URL")
    assert (found["USER"], found["PASSWORD"], found["HOST"], found["PORT"], found["NAME"]) == (
        "hub@x",
        "p/w",
        "db",
        "5433",
        "flex",
    )
    assert found["OPTIONS"] == {"sslmode": "require", "options": "-c lock_timeout=5s"}


@pytest.mark.parametrize(
    ("hosts", "host", "port"),
    [
        ("a", "a", ""),
        ("[::1]:5433", "::1", "5433"),
        ("a:1,b:2", "a,b", "1,2"),
        ("a,[2001:db8::1]:2", "a,2001:db8::1", "5432,2"),
        ("", "", ""),
    ],
)
def test_a_database_may_be_at_one_of_several_hosts(monkeypatch, hosts, host, port):
    monkeypatch.setenv("DATABASE_URL", f"postgresql://u:p@{hosts}/flex")
    found = Environment(Path("no such file")).database("DATABASE_URL")
    assert (found["HOST"], found["PORT"], found["NAME"]) == (host, port, "flex")


def test_what_is_no_host_is_told(monkeypatch):
    monkeypatch.setenv("DATABASE_URL", "postgresql://u:secret@a:b:c/flex")
    with pytest.raises(ImproperlyConfigured, match="host:port") as told:
        Environment(Path("no such file")).database("DATABASE_URL")
    assert "secret" not in str(told.value)


def test_words_choices_and_packages_that_a_setting_needs(monkeypatch):
    environment = Environment(Path("no such file"))
    assert environment.words("FORMER_SECRET_KEYS") == []
    monkeypatch.setenv("FORMER_SECRET_KEYS", "one\n two\n")
    assert environment.words("FORMER_SECRET_KEYS") == ["one", "two"]
    assert environment.choice("LOG_FORMAT", "line", "json") == "line"
    monkeypatch.setenv("LOG_FORMAT", "xml")
    with pytest.raises(ImproperlyConfigured, match="line, json"):
        environment.choice("LOG_FORMAT", "line", "json")
    environment.package("TRACES", "pytest", "some.txt")
    with pytest.raises(ImproperlyConfigured, match=r"TRACES needs more: pip install -r some\.txt"):
        environment.package("TRACES", "a-package-that-nobody-has", "some.txt")


def test_proxies_are_addresses_and_networks(monkeypatch):
    environment = Environment(Path("no such file"))
    assert environment.networks("TRUSTED_PROXIES") == []
    monkeypatch.setenv("TRUSTED_PROXIES", " 127.0.0.1, 10.0.0.0/8,2001:db8::/32 ,")
    assert environment.networks("TRUSTED_PROXIES") == [
        ip_network("127.0.0.1"),
        ip_network("10.0.0.0/8"),
        ip_network("2001:db8::/32"),
    ]
    for wrong in ("proxy.example", "10.0.0.1/8", "*"):
        monkeypatch.setenv("TRUSTED_PROXIES", wrong)
        with pytest.raises(ImproperlyConfigured, match="TRUSTED_PROXIES"):
            environment.networks("TRUSTED_PROXIES")
