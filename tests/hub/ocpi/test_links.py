"""Link fields as they are written, and that no text takes long to read (RFC 8288)."""

import itertools
import random

import pytest

from hub.ocpi import links
from hub.ocpi.links import LinkTooLong, next_page


@pytest.mark.parametrize(
    ("field", "wanted"),
    [
        ("", None),
        ("nonsense", None),
        ("<>; rel=next", None),
        ("<a>", None),
        ("<a>; rel", None),
        ('<a>; rel=""', None),
        ('<a>; rel="prev"', None),
        ('<a>; rel="nextdoor"', None),
        ('<a>; title="rel=next"', None),
        ('<a>; title="; rel=next"', None),
        ("<a rel=next", None),
        ('<a>; rel="prev"; rel="next"', None),
        ('<a>; rel="next"', "a"),
        ("<a>;rel=next", "a"),
        ("<a>;rel='next'", "a"),
        ('<a> ; REL = "NEXT"', "a"),
        ('< a >\t;\trel\t=\t"next"', "a"),
        ('<a>; rel="last next"', "a"),
        ('<a>; rel="next last"', "a"),
        ('<a>; title="x, y; z"; rel="next"', "a"),
        ('<a>; title="say \\"next\\""; rel="next"', "a"),
        ('<a>; rel="next"; title="x"', "a"),
        ('<a>; rel="next', "a"),
        ('<a>; title="x; rel="next"', None),
        ('<a>; crossorigin; rel="next"', "a"),
        ('<a?b=1,2;3>; rel="next"', "a?b=1,2;3"),
        ('<a>; rel="prev", <b>; rel="next"', "b"),
        ('<a>; rel="next", <b>; rel="last"', "a"),
        ('<a>; rel="next, <b>; rel="last"', "a"),
        ('<a>; rel="last",<b>;rel=next', "b"),
        ('<a>, <b>; rel="next"', "b"),
        ('<a>; rel="next", <b>; rel="next"', "a"),
        (', ,<a>; rel="next",', "a"),
    ],
)
def test_the_next_page_is_found_however_it_is_written(field, wanted):
    assert next_page(field) == wanted


def test_what_is_longer_than_the_limit_is_not_read_but_said():
    link = '<a>; rel="next"'
    assert next_page(link.ljust(links.MAX_LENGTH)) == "a"
    with pytest.raises(LinkTooLong, match=str(links.MAX_LENGTH)):
        next_page(link.ljust(links.MAX_LENGTH + 1))


def _steps(field: str) -> int:
    """How much of the text was looked at, each character once for each time."""
    reader = links._Reader(field)
    while reader.finds_target():
        reader.target()
        reader.relations()
    return reader.steps


# Every short sequence of what means something in a Link, again and again.
_PIECES = ["<", ">", '"', "\\", ";", ",", "=", " ", "rel", "a"]


@pytest.mark.parametrize("length", [1, 2, 3])
def test_reading_looks_at_each_character_a_few_times_at_most(length):
    for pieces in itertools.product(_PIECES, repeat=length):
        for before in ("", '<a>; b="c"'):
            field = (before + "".join(pieces) * links.MAX_LENGTH)[: links.MAX_LENGTH]
            assert _steps(field[:2000]) <= 5 * 2000, field[:40]
    assert _steps(field) <= 5 * links.MAX_LENGTH


def test_no_text_at_all_breaks_the_reader():
    chance = random.Random(1)
    for _ in range(3000):
        field = "".join(chance.choices([*_PIECES, "next", "rel=next"], k=chance.randint(1, 30)))
        found = next_page(field)
        assert found is None or (found and f"{found}" in field)
        assert _steps(field) <= 5 * len(field) + 5
