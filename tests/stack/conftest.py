"""A PostgreSQL cluster that is made once and copied, since initdb takes a second each time."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from stack.postgres import Postgres
from stack.service import Service
from stack.valkey import Valkey

Kind = TypeVar("Kind", bound=Service)


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a PostgreSQL that was started once."""
    postgres = Postgres(tmp_path_factory.mktemp("made") / "postgres", durable=False)
    postgres.start()
    postgres.stop()
    return postgres.folder


@pytest.fixture
def data_folder(tmp_path: Path, made_once: Path) -> Path:
    """A data folder in which PostgreSQL has been set up."""
    shutil.copytree(made_once, tmp_path / "data" / "postgres")
    return tmp_path / "data"


@pytest.fixture
def postgres(data_folder: Path) -> Iterator[Postgres]:
    """Not started yet; stopped in the end."""
    yield from stopped_in_the_end(Postgres(data_folder / "postgres"))


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[Valkey]:
    """Not started yet; stopped in the end."""
    yield from stopped_in_the_end(Valkey(tmp_path / "valkey"))


def stopped_in_the_end(service: Kind) -> Iterator[Kind]:
    yield service
    service.stop()
