"""What a simulator keeps has an end."""

from party import recent
from party.recent import Recent


def test_the_oldest_entry_is_forgotten() -> None:
    kept: Recent[int, str] = Recent()
    for number in range(recent.KEPT + 2):
        kept[number] = "x"
    assert len(kept) == recent.KEPT
    assert min(kept) == 2
