"""Link header fields, read in one pass from left to right (transport_and_format, Pagination).

RFC 8288, 3 and appendix B: `<target>; rel=next; title="a, b", <target>; rel="last"`. Real ones are
read too: any case, white space anywhere, a quotation mark that is never closed.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

# Several fields of one answer together; a URL that the hub passes on has at most 2048 characters.
MAX_LENGTH: Final = 16_384  # characters
_SPACE: Final = " \t\r\n"


class LinkTooLong(ValueError):
    """There is more in the Link fields than the hub reads: a next page may be among it."""


@dataclass(frozen=True, slots=True)
class Link:
    """One link: its target as it stands there, and its relation types in lower case."""

    target: str
    relations: tuple[str, ...]


def next_page(field: str) -> str | None:
    """The target of the first link that has `next` among its relation types; None without one."""
    return next((link.target for link in links(field) if "next" in link.relations), None)


def links(field: str) -> Iterator[Link]:
    """The links of a field, or of several that are joined with commas; LinkTooLong."""
    if len(field) > MAX_LENGTH:
        raise LinkTooLong(
            f"Link has {len(field)} characters; no more than {MAX_LENGTH} of them are read"
        )
    reader = _Reader(field)
    while reader.finds_target():
        target = reader.target()
        relations = reader.relations()
        if target:
            yield Link(target, relations)


class _Reader:
    """A place in the text that only ever moves to the right: so no text takes long.

    `steps` counts the characters and searches that were looked at, for the test of just that.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        # Where the last quotation mark stands: behind it no search for one is worth beginning.
        self._last_quote = text.rfind('"')
        self.steps = 0

    def finds_target(self) -> bool:
        """Go behind the next "<"; False at the end."""
        opened = self._text.find("<", self._at)
        if opened < 0:
            return False
        self._go_to(opened + 1)
        return True

    def target(self) -> str:
        """What stands before ">"; "" and the end of the text when that is missing."""
        return self._until(">").strip(_SPACE)

    def relations(self) -> tuple[str, ...]:
        """The parameters of one link, to the comma behind it; the first `rel` counts."""
        found: tuple[str, ...] | None = None
        while self._has_parameter():
            name = self._word("=;,").strip(_SPACE).lower()
            value = self._value() if self._takes("=") else ""
            if name == "rel" and found is None:
                found = tuple(value.lower().replace(",", " ").replace("'", " ").split())
        return found or ()

    def _has_parameter(self) -> bool:
        """Go behind the ";" of one more parameter; at a comma or the end there is none."""
        self._word(";,")
        return self._takes(";")

    def _value(self) -> str:
        self._skip_space()
        if self._at <= self._last_quote and self._takes('"'):
            return self._quoted()
        return self._word(";,")

    def _quoted(self) -> str:
        """What stands before the closing mark, without backslashes; that mark may be missing."""
        parts: list[str] = []
        text = self._text
        while self._at <= self._last_quote:
            character = text[self._at]
            self._go_to(self._at + 1)
            if character == '"':
                return "".join(parts)
            if character == "\\" and self._at < len(text):
                character = text[self._at]
                self._go_to(self._at + 1)
            parts.append(character)
        return "".join(parts) + self._word(";,")

    def _until(self, mark: str) -> str:
        """The text before the mark, and go behind it; "" and the end without one."""
        end = self._text.find(mark, self._at)
        if end < 0:
            self._go_to(len(self._text))
            return ""
        found = self._text[self._at : end]
        self._go_to(end + 1)
        return found

    def _word(self, marks: str) -> str:
        """The text before the first of the marks, or to the end; the mark is left."""
        began = end = self._at
        text = self._text
        while end < len(text) and text[end] not in marks:
            end += 1
        self._go_to(end)
        return text[began:end]

    def _takes(self, mark: str) -> bool:
        if self._text[self._at : self._at + 1] != mark:
            return False
        self._go_to(self._at + 1)
        return True

    def _skip_space(self) -> None:
        while self._text[self._at : self._at + 1] in tuple(_SPACE):
            self._go_to(self._at + 1)

    def _go_to(self, place: int) -> None:
        self.steps += place - self._at + 1
        self._at = place
