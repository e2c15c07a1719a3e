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
