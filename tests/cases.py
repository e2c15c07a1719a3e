"""Many small cases in one test, since each test costs more than such a case does."""

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def case(*name: object) -> Iterator[None]:
    """What fails within says which case it was."""
    try:
        yield
    except BaseException as error:
        error.add_note(f"In the case: {' '.join(map(str, name))}")
        raise
