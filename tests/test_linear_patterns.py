"""Every regular expression that foreign text meets is linear, which their structure shows.

One that was not took a web process for ever, by a Link of 120 characters.
"""

import ast
import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from django.urls import URLPattern, URLResolver
from django.urls.resolvers import RegexPattern
from msgspec import inspect

from hub import urls
from stack.__main__ import CHECKOUT
from tests.linearity import problems

PACKAGES = (
    *("hub", "cdrs", "charging_profiles", "commands", "flex", "locations", "sessions"),
    *("tariffs", "tokens", "party", "simulators"),
)
ANCHORED = {"match", "fullmatch"}
# Calls of `re` beyond a pattern that stands in its module: what they are made of is the hub's own.
ELSEWHERE = {
    ("hub/ocpi/comparison.py", "compile"): "a Struct's pattern, judged below",
    ("hub/ocpi/comparison.py", "sub"): "a path of ours",
    ("hub/ocpi/own_paths.py", "escape"): "a path of ours, for Django's resolver",
    ("hub/ocpi/own_paths.py", "sub"): "a shape of ours, for Django's resolver",
}


def sources() -> Iterator[Path]:
    for package in PACKAGES:
        for path in sorted((CHECKOUT / package).rglob("*.py")):
            if "migrations" not in path.parts and "import re\n" in path.read_text():
                yield path


def calls_of_re(tree: ast.AST) -> Iterator[tuple[str, bool]]:
    """The functions of `re` that are called, and whether at the top of the module."""
    top = {id(node) for statement in ast.iter_child_nodes(tree) for node in _outside(statement)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            of = node.func.value
            if isinstance(of, ast.Name) and of.id == "re":
                yield node.func.attr, id(node) in top


def _outside(statement: ast.AST) -> Iterator[ast.AST]:
    """What of a statement is not within a function or class."""
    if not isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield statement
        for child in ast.iter_child_nodes(statement):
            yield from _outside(child)


def patterns_of(path: Path) -> dict[str, tuple["re.Pattern[Any]", bool]]:
    """The patterns in a module's names; whether each is only tried at one place."""
    name = ".".join(path.relative_to(CHECKOUT).with_suffix("").parts)
    found = {}
    for key, value in vars(importlib.import_module(name)).items():
        if isinstance(value, re.Pattern):
            found[key] = (value, False)
        elif isinstance(owner := getattr(value, "__self__", None), re.Pattern):
            found[key] = (owner, value.__name__ in ANCHORED)
    return found


MODULES = {str(path.relative_to(CHECKOUT)): path for path in sources()}


@pytest.mark.parametrize("name", MODULES)
def test_patterns_stand_at_the_top_of_their_module_and_are_linear(name):
    path = MODULES[name]
    tree = ast.parse(path.read_text())
    at_the_top = 0
    for function, is_top in calls_of_re(tree):
        if function == "compile" and is_top:
            at_the_top += 1
        else:
            assert (name, function) in ELSEWHERE
    found = patterns_of(path)
    assert len(found) == at_the_top
    for key, (pattern, anchored) in found.items():
        assert problems(pattern, anchored=anchored) == [], (key, pattern.pattern)


def test_nobody_else_uses_regular_expressions():
    for package in PACKAGES:
        for path in (CHECKOUT / package).rglob("*.py"):
            assert "from re import" not in path.read_text(), path


# --- Patterns that others run for us -----------------------------------------------------------


def structs() -> Iterator[type[msgspec.Struct]]:
    waiting = [msgspec.Struct]
    while waiting:
        for kind in waiting.pop().__subclasses__():
            waiting.append(kind)
            package, _, module = kind.__module__.partition(".")
            if package in PACKAGES and (module == "objects" or module.startswith("ocpi.")):
                yield kind


def texts_in(shape: Any) -> Iterator[str]:
    """The patterns within a type: msgspec's own, and what the OpenAPI document says."""
    match shape:
        case inspect.Metadata(type=inner, extra_json_schema=schema):
            if pattern := (schema or {}).get("pattern"):
                yield pattern
            yield from texts_in(inner)
        case inspect.StrType(pattern=str(own)):
            yield own
        case inspect.UnionType(types=types):
            for one in types:
                yield from texts_in(one)
        case inspect.ListType(item_type=item):
            yield from texts_in(item)


def test_the_patterns_of_our_objects_are_linear():
    for package in PACKAGES:
        if (CHECKOUT / package / "objects.py").exists():
            importlib.import_module(f"{package}.objects")
    found: set[str] = set()
    for kind in structs():
        shape = inspect.type_info(kind)
        if isinstance(shape, inspect.StructType):
            found |= {text for one in shape.fields for text in texts_in(one.type)}
    assert len(found) > 3
    for pattern in found:
        assert problems(re.compile(pattern), anchored=False) == [], pattern


def urls_of(patterns: list[Any]) -> Iterator[str]:
    for one in patterns:
        assert isinstance(one, URLPattern | URLResolver)
        if isinstance(one.pattern, RegexPattern):
            yield one.pattern.regex.pattern
            if isinstance(one, URLResolver):
                yield from urls_of(one.url_patterns)


def test_the_patterns_of_our_urls_are_linear():
    found = set(urls_of(urls.urlpatterns))
    assert len(found) > 15
    for pattern in found:
        assert problems(re.compile(pattern), anchored=False) == [], pattern


# --- The judge ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "pattern",
    [
        r"(a+)+b",
        r"(a|a)*b",
        r"(a|ab)*c",
        r"(?:a*)*b",
        r"a*a*b",
        r"\s*\s*x",
        r"<([^>]*)>",  # each "<" of "<<<<" walks to the end
        r"\s+$",
        r"\w+@",
        r".*x",
        r"x.*y.*z",
        r"(?:\s*;\s*[^=;,<>]+=[^\";,]*)*;rel",
        r"<([^>]+)>(?:\s*;\s*(?!rel\b)[^=;,<>]+=(?:\"[^\"]*\"|[^\";,]*))*\s*;\s*rel\s*=",
        r"[a-z]{0,99}[a-z]{0,99}[a-z]{0,99}!",
        r"(a)\1",
        r"\b[A-Z][A-Za-z]+\.x",
    ],
)
def test_the_judge_refuses_what_is_not_linear(pattern):
    assert problems(re.compile(pattern), anchored=False)


@pytest.mark.parametrize(
    "pattern",
    [
        r"abc",
        r"<[^<>]*>",
        r'"[^"]*"',
        r'"(?:[^"\\]|\\.)*"',
        r"x\s*:\s*y",
        r"/via/[\w-]+",
        r"[a-z]{0,40}!",
        r"^\s*x",
        r"(?:a|b|c){1,5}",
        r"-\d\d(?!T[\d.]+Z)",
    ],
)
def test_the_judge_lets_pass_what_is(pattern):
    assert problems(re.compile(pattern), anchored=False) == []


def test_where_a_pattern_is_tried_at_one_place_no_search_begins_anew():
    for pattern in (r"[a-z]+!", r"\d{4}-\d\d(\.\d+)?Z?"):
        assert problems(re.compile(pattern), anchored=True) == []
        assert problems(re.compile(pattern), anchored=False)
