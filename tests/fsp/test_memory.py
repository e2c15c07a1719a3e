"""What became of drivers' statements, in a file."""

import pytest

from fsp import memory
from fsp.needs import Need
from fsp.statements import OWN_PAST, Statements

NEED = Need(energy_kwh=20.0, departure=36_000)


def test_a_restart_forgets_nothing(tmp_path):
    file = tmp_path / "statements.json"
    statements = memory.read(file)
    assert statements == Statements()
    for number in range(OWN_PAST + 5):
        statements.learn("one", NEED, 0, number / 2, 18_000, is_full=True)
    statements.learn("other", NEED, 0, 20.0, 36_000, is_full=True)
    memory.write(file, statements)
    again = memory.read(file)
    assert again == statements
    assert again.outcomes("one") == statements.outcomes("one")
    # It goes on as it was: the oldest are forgotten first.
    again.learn("one", NEED, 0, 20.0, 36_000, is_full=True)
    assert len(again.of_user["one"]) == OWN_PAST


def test_a_file_of_something_else_is_not_overwritten(tmp_path):
    file = tmp_path / "prices.csv"
    file.write_text("start_utc,eur_per_mwh\n")
    with pytest.raises(ValueError, match="does not hold statements"):
        memory.read(file)
    assert file.read_text()
