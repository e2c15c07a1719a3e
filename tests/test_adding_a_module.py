"""docs/adding-a-module.md is so: these places name a module, and no others do."""

import re
from functools import cache
from pathlib import Path

import pytest

from hub.ocpi.modules import FUNCTIONAL_MODULES

HOUSE = Path(__file__).resolve().parent.parent
PAGE = (HOUSE / "docs" / "adding-a-module.md").read_text()
PLACES = dict(re.findall(r"^\| `([^`]+)` \| .+ \| (each|some) \|$", PAGE, re.M))
EXCEPTIONS = {
    place: set(re.findall(r"\w+", only))
    for place, only in re.findall(r"^\| `(hub/[^`]+)` \| ((?:`\w+`(?:, )?)+) \|", PAGE, re.M)
}
FOLDERS = {module: module for module in FUNCTIONAL_MODULES} | {
    "chargingprofiles": "charging_profiles"
}
HUB = {
    path.relative_to(HOUSE).as_posix(): path.read_text()
    for path in HOUSE.glob("hub/**/*.py")
    if "migrations" not in path.parts
}


def names(text: str, module: str) -> bool:
    """Whether code imports from the folder of a module, or has its name as a text or in one."""
    folder = FOLDERS[module]
    # `"cdrs"` alone may be a column of a page; a path or a dotted name is the module for certain.
    return bool(
        re.search(rf"^\s*(?:from|import) {folder}\b", text, re.M)
        or re.search(rf"""["'/]{module}["'/]|["']{folder}\.|`{folder}/`""", text)
    )


@cache
def places_of(module: str) -> set[str]:
    """The places of the page at which a module is named, and every other file that names it."""
    found = set()
    for path, text in HUB.items():
        if names(text, module):
            folders = [f"{folder}/" for folder in map(str, Path(path).parents)]
            found.add(next((folder for folder in folders if folder in PLACES), path))
    return found


def test_there_are_fewer_than_ten_places():
    assert 4 < len(PLACES) < 10
    assert all((HOUSE / place).exists() for place in (*PLACES, *EXCEPTIONS))


@pytest.mark.parametrize("module", FUNCTIONAL_MODULES)
def test_a_module_is_named_where_the_page_says_and_nowhere_else(module):
    excepted = {place for place, only in EXCEPTIONS.items() if module in only}
    found = places_of(module) - excepted
    assert found <= set(PLACES)
    everywhere = {place for place, who in PLACES.items() if who == "each"}
    others = {
        place
        for place in everywhere - HUB.keys()
        if not re.search(rf"\b{FOLDERS[module]}\b", (HOUSE / place).read_text())
    }
    assert everywhere & HUB.keys() <= found
    assert others == set()


def test_each_place_and_each_exception_is_needed():
    """A place that no module names any more leaves the page."""
    named = {place for module in FUNCTIONAL_MODULES for place in places_of(module)}
    assert {place for place in PLACES if place.startswith("hub/")} <= named
    for place, only in EXCEPTIONS.items():
        assert {one for one in FUNCTIONAL_MODULES if names(HUB[place], one)} == only
