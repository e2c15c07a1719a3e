"""A dict that forgets its oldest entries, so that a simulator can run for weeks."""

from typing import Final, TypeVar

K = TypeVar("K")
V = TypeVar("V")

KEPT: Final = 20_000


class Recent(dict[K, V]):
    """Keeps the newest entries; filled by item assignment alone."""

    def __setitem__(self, key: K, value: V) -> None:
        super().__setitem__(key, value)
        if len(self) > KEPT:
            del self[next(iter(self))]
