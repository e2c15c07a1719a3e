"""The words of the menu are those of its pages; a list without rows says how its first comes."""

from django.contrib import admin
from django.urls import reverse

from hub.console.beginnings import BEGINNINGS, named_in_menu
from hub.console.sidebar import SIDEBAR
from tests.cases import case
from tests.hub.console import rows


def test_every_table_has_a_line_of_the_menu_and_a_beginning():
    titles = {item["title"] for group in SIDEBAR["navigation"] for item in group["items"]}
    for model in admin.site._registry:
        with case(model.__name__):
            assert named_in_menu(model._meta) in titles
    assert {model._meta.db_table for model in admin.site._registry} == set(BEGINNINGS)


def test_a_list_is_headed_as_the_menu_says_and_tells_what_brings_the_first(console):
    for table, title in (
        ("flex_api_apikey", "Keys of the flex API"),
        ("ocpi_locations_location", "Locations"),
        ("flex_life_hubcommand", "Commands of the hub"),
    ):
        with case(table):
            html = console.get(reverse(f"admin:{table}_changelist")).content.decode()
            assert f"<title> {title} |" in html
            assert html.count(title) > 2
            assert BEGINNINGS[table] in html
    none = console.get(reverse("admin:ocpi_locations_location_changelist") + "?q=X")
    assert "Nothing fits what was chosen" in none.content.decode()


def test_parties_are_searched_in_forms_that_choose_one(console):
    rows.platform("Volt Charging B.V.", ("NL", "CPO", "CPO"))
    for table, number in (
        ("hub_agreement", 2),
        ("flex_flexagreement", 3),
        ("flex_flexexclusion", 2),
        ("flex_api_site", 1),
        ("flex_api_apikey", 1),
    ):
        with case(table):
            html = console.get(reverse(f"admin:{table}_add")).content.decode()
            assert html.count("unfold-admin-autocomplete") == number
            assert "select2.full.js" in html
            assert "NL-CPO  Volt Charging B.V. (CPO)" in html
