"""The route table, against the tables of the module chapters (Interfaces and Endpoints)."""

import pytest

from hub.ocpi.datatypes import InterfaceRole
from hub.ocpi.modules import FUNCTIONAL_MODULES, INTERFACES, NoSuchUrl, WrongMethod, match
from tests.cases import case

SENDER, RECEIVER = InterfaceRole.SENDER, InterfaceRole.RECEIVER
# What each chapter says: every URL, and the methods that are not n/a.
TABLE = {
    ("locations", SENDER, ""): "GET",
    ("locations", SENDER, "L"): "GET",
    ("locations", SENDER, "L/E"): "GET",
    ("locations", SENDER, "L/E/C"): "GET",
    ("locations", RECEIVER, "NL/ABC/L"): "GET PUT PATCH",
    ("locations", RECEIVER, "NL/ABC/L/E"): "GET PUT PATCH",
    ("locations", RECEIVER, "NL/ABC/L/E/C"): "GET PUT PATCH",
    ("sessions", SENDER, ""): "GET",
    ("sessions", SENDER, "S/charging_preferences"): "PUT",
    ("sessions", RECEIVER, "NL/ABC/S"): "GET PUT PATCH",
    ("cdrs", SENDER, ""): "GET",
    ("cdrs", RECEIVER, ""): "POST",
    ("tariffs", SENDER, ""): "GET",
    ("tariffs", RECEIVER, "NL/ABC/T"): "GET PUT DELETE",
    ("tokens", SENDER, ""): "GET",
    ("tokens", SENDER, "T/authorize"): "POST",
    ("tokens", RECEIVER, "NL/ABC/T"): "GET PUT PATCH",
    ("commands", RECEIVER, "START_SESSION"): "POST",
    ("commands", SENDER, "START_SESSION/1"): "POST",
    ("chargingprofiles", RECEIVER, "S"): "GET PUT DELETE",
    ("chargingprofiles", SENDER, "S"): "PUT",
}
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


@pytest.mark.parametrize("place", TABLE, ids=str)
def test_each_url_takes_the_methods_of_its_chapter_and_no_other(place):
    allowed = TABLE[place].split()
    for method in allowed:
        found = match(*place, method)
        assert found.route is not None, method
        assert (found.module, found.role) == place[:2], method
    for method in {*METHODS, "HEAD", "OPTIONS", "TRACE"} - {*allowed}:
        with case(method), pytest.raises(WrongMethod) as caught:
            match(*place, method)
        assert set(caught.value.allowed) == set(allowed), method


def test_the_modules_are_those_of_the_table_and_each_has_both_interfaces():
    assert set(FUNCTIONAL_MODULES) == {module for module, _, _ in TABLE}
    assert set(INTERFACES) == {(module, role) for module, role, _ in TABLE}
    assert len(INTERFACES) == 2 * len(FUNCTIONAL_MODULES)


def test_the_ids_of_a_url_are_named_and_still_encoded():
    found = match("locations", RECEIVER, "nl/A%20B/L%2F1/E/C/", "PUT")
    assert found.ids == {
        "country_code": "nl",
        "party_id": "A%20B",
        "location_id": "L%2F1",
        "evse_uid": "E",
        "connector_id": "C",
    }


@pytest.mark.parametrize(
    ("module", "role", "rest"),
    [
        ("sessions", RECEIVER, ""),
        ("sessions", RECEIVER, "NL/ABC"),
        ("sessions", RECEIVER, "NL/ABC/S/x"),
        ("sessions", SENDER, "S"),
        ("sessions", SENDER, "S/something_else"),
        ("tokens", SENDER, "T/authorise"),
        ("locations", SENDER, "a/b/c/d/e/f/g"),
        ("chargingprofiles", SENDER, ""),
        ("credentials", SENDER, ""),
        ("hubclientinfo", RECEIVER, "NL/ABC"),
        ("versions", SENDER, ""),
        ("sessions", RECEIVER, "NL/ABC/.."),
        ("nltnm-x", RECEIVER, "a/../b"),
        ("nltnm-x", RECEIVER, "%2E%2e/b"),
        ("nltnm-x", RECEIVER, "./b"),
        ("nltnm-x", RECEIVER, "a%2f..%2fb"),
        ("nltnm-x", RECEIVER, "..;/credentials"),
        ("nltnm-x", RECEIVER, "a/.%2E;v=1%2fcredentials"),
        ("nltnm-x", RECEIVER, "..%5Ccredentials"),
        ("tariffs", RECEIVER, "..;/..;/credentials"),
    ],
)
def test_what_no_chapter_has_is_no_url(module, role, rest):
    with pytest.raises(NoSuchUrl):
        match(module, role, rest, "PUT")


@pytest.mark.parametrize("rest", ["", "a/b/c/d/e/f/g/", "a..b/.c/d./...", "x%2Fy", "a;b/.c;d"])
@pytest.mark.parametrize("method", METHODS)
def test_a_custom_module_has_every_url_and_the_methods_of_ocpi(rest, method):
    found = match("nltnm-tokens", RECEIVER, rest, method)
    assert (found.module, found.route, found.ids) == ("nltnm-tokens", None, {})


def test_a_word_in_a_url_is_compared_without_case_and_slashes_more_or_less_do_not_matter():
    assert match("tokens", SENDER, "T/Authorize/", "POST").ids == {"token_uid": "T"}
    assert match("tariffs", RECEIVER, "/NL//ABC/T", "GET").ids["tariff_id"] == "T"


@pytest.mark.parametrize("method", ["TRACE", "OPTIONS", "HEAD", "get"])
def test_a_custom_module_has_no_other_methods(method):
    with pytest.raises(WrongMethod) as caught:
        match("nltnm-tokens", SENDER, "", method)
    assert caught.value.allowed == METHODS
