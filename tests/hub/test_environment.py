"""Settings out of the environment (docs/operations.md)."""

from pathlib import Path

from hub.environment import Environment


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
