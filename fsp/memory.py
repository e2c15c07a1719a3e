"""What became of drivers' statements, in a file: a restart of the FSP forgets nothing of them.

Who a driver is, does not stand in it: users are told apart by a hash.
"""

import os
from collections import deque
from pathlib import Path

import msgspec

from fsp.statements import OTHERS_PAST, OWN_PAST, Outcome, Statements


class _Kept(msgspec.Struct):
    of_user: dict[str, list[tuple[float, float]]]
    of_all: list[tuple[float, float]]


def read(file: Path) -> Statements:
    """Empty where there is no file; ValueError for one that is of something else."""
    if not file.exists():
        return Statements()
    try:
        kept = msgspec.json.decode(file.read_bytes(), type=_Kept)
    except msgspec.DecodeError as error:
        raise ValueError(f"{file} does not hold statements of drivers: {error}") from error
    return Statements(
        {user: deque(_outcomes(told), OWN_PAST) for user, told in kept.of_user.items()},
        deque(_outcomes(kept.of_all), OTHERS_PAST),
    )


def write(file: Path, statements: Statements) -> None:
    """Whole or not at all."""
    kept = _Kept(
        {user: _pairs(outcomes) for user, outcomes in statements.of_user.items()},
        _pairs(statements.of_all),
    )
    new = file.with_name(f"{file.name}.new")
    with new.open("wb") as opened:
        opened.write(msgspec.json.encode(kept))
        opened.flush()
        os.fsync(opened.fileno())
    new.replace(file)


def _outcomes(pairs: list[tuple[float, float]]) -> list[Outcome]:
    return [Outcome(energy, stay) for energy, stay in pairs]


def _pairs(outcomes: "deque[Outcome]") -> list[tuple[float, float]]:
    return [(outcome.energy, outcome.stay) for outcome in outcomes]
