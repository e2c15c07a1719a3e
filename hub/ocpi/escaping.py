"""What others wrote, as it can stand in a line of a log, a terminal or a page."""


def escaped(text: str) -> str:
    """What cannot be printed, as Python writes it: line breaks, terminal commands, hidden marks."""
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else ascii(character)[1:-1] for character in text
    )
