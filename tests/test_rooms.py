"""The rooms of hub/: few enough to be read at a glance, and on the map (docs/modules.md)."""

from pathlib import Path

ROOT = Path(__file__).parents[1]
HUB = ROOT / "hub"
MOST = 32
MAP = (ROOT / "docs" / "modules.md").read_text()


def entries() -> list[Path]:
    """What lies on the first level, without what Python has made, or has left of a former room."""

    def is_made(path: Path) -> bool:
        left = {inner.name for inner in path.iterdir()} if path.is_dir() else {path.name}
        return path.name == "__pycache__" or left <= {"__pycache__"}

    return [path for path in sorted(HUB.iterdir()) if not is_made(path)]


def test_the_first_level_is_read_at_a_glance():
    assert len(entries()) <= MOST, [path.name for path in entries()]


def test_each_room_says_what_it_is():
    rooms = [path for path in entries() if path.is_dir() and path.name not in {"migrations"}]
    silent = [
        room.name for room in rooms if not (room / "__init__.py").read_text().startswith('"""')
    ]
    assert silent == []


def test_the_map_names_each_room_and_each_file_that_is_in_none():
    missing = [
        name
        for path in entries()
        if path.name != "__init__.py"
        and f"`{(name := f'hub/{path.name}' + '/' * path.is_dir())}" not in MAP
    ]
    assert missing == []
