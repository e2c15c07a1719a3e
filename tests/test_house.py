"""What newcomers are told of this repository is so: documents, links, hooks, names of apps."""

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest
import yaml

import sessions
from hub.ocpi.modules import ROUTES
from sessions.models import Session

HOUSE = Path(__file__).resolve().parent.parent
DECISIONS = HOUSE / "docs" / "decisions"
DOCUMENTS = sorted(
    path
    for path in (*HOUSE.glob("*.md"), *HOUSE.glob("*/*.md"), *HOUSE.glob("docs/*/*.md"))
    if not path.relative_to(HOUSE).parts[0].startswith(".")
)
LINK = re.compile(r"\[[^]]*\]\(([^)]+)\)")
WIDTH = 100


def prose(document: Path) -> Iterator[tuple[int, str]]:
    """The lines of a document, with their numbers, that are neither tables nor blocks of code."""
    is_code = False
    for number, line in enumerate(document.read_text().splitlines(), 1):
        if line.lstrip().startswith("```"):
            is_code = not is_code
        elif not is_code and not line.startswith(("|", "    ")):
            yield number, line


def test_sessions_is_the_app_of_this_project():
    """Django has an app of the same name, and a folder tests/sessions exists."""
    assert Path(sessions.__file__) == HOUSE / "sessions" / "__init__.py"
    assert Session._meta.label == "ocpi_sessions.Session"


def test_no_model_refers_to_a_login_session_of_django():
    from_django = {
        model._meta.label
        for model in Session._meta.apps.get_models()
        for field in model._meta.get_fields()
        if field.is_relation
        and field.related_model is not None
        and field.related_model.__module__ == "django.contrib.sessions.models"
    }
    assert from_django == set()


def test_the_index_of_decisions_has_one_line_for_each_of_them():
    pages = sorted(path.name for path in DECISIONS.glob("[0-9]*.md"))
    listed = re.findall(
        r"^\| \[\d{4}\]\((\d{4}-[^)]+)\)", (DECISIONS / "README.md").read_text(), re.M
    )
    assert listed == pages
    numbers = [page[:4] for page in pages]
    assert len(set(numbers)) == len(numbers)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(HOUSE)))
def test_a_document_leads_to_files_that_exist(document):
    for _, line in prose(document):
        for target in LINK.findall(line):
            if not re.match(r"https?:|#", target):
                assert (document.parent / unquote(target).partition("#")[0]).exists(), target


def test_prose_has_at_most_100_characters_a_line():
    """Longer is only what cannot be broken: a URL."""
    wide = [
        f"{document.relative_to(HOUSE)}:{number}"
        for document in DOCUMENTS
        for number, line in prose(document)
        if len(line) > WIDTH and " " in line.strip().removeprefix("- ")
    ]
    assert not wide, "\n".join(wide)


@pytest.mark.parametrize("page", ["modules.md", "glossary.md"])
def test_a_map_of_the_code_names_files_that_exist(page):
    named = re.findall(r"`([\w/]+/(?:[\w.-]+\.\w+)?)`", (HOUSE / "docs" / page).read_text())
    missing = [name for name in named if not (HOUSE / name).exists()]
    assert named
    assert missing == []


def test_hooks_are_local_and_run_what_a_developer_runs():
    hooks = [
        (repository["repo"], hook["language"], hook["entry"])
        for repository in yaml.safe_load((HOUSE / ".pre-commit-config.yaml").read_text())["repos"]
        for hook in repository["hooks"]
    ]
    parts = re.findall(r"^    (\w+)\)", (HOUSE / "script" / "check").read_text(), re.M)
    assert hooks == [("local", "system", f"script/check {part}") for part in parts]


def test_the_version_of_ocpi_is_written_in_one_package_alone():
    """A second version gets a package of its own beside it (docs/decisions/0033)."""
    written = {
        path.relative_to(HOUSE).as_posix()
        for folder in HOUSE.glob("*/__init__.py")
        if folder.parent.name != "tests"
        for kind in ("*.py", "*.html")
        for path in folder.parent.rglob(kind)
        if "migrations" not in path.parts and re.search(r"\b2\\?\.2\\?\.1", path.read_text())
    }
    assert written == {"hub/ocpi/v2_2_1/__init__.py"}


def test_what_leaves_the_hub_and_its_own_urls_have_one_place_each():
    folders = {"hub", "flex", *(route.module for route in ROUTES)} - {"chargingprofiles"}
    product = {
        path.relative_to(HOUSE).as_posix(): path.read_text()
        for folder in (*folders, "charging_profiles")
        for path in (HOUSE / folder).rglob("*.py")
    }
    headers_written = {name for name, text in product.items() if '"Authorization":' in text}
    assert headers_written == {"hub/outbound/message.py"}
    urls_written = {name for name, text in product.items() if re.search(r"[\"'^]/?ocpi/", text)}
    assert urls_written == {"hub/ocpi/own_paths.py", "hub/ocpi/v2_2_1/__init__.py"}
