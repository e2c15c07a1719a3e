"""Token and its data types (mod_tokens, Object description)."""

import json

import pytest

import tokens.objects
from hub.ocpi.datatypes import decode
from hub.ocpi.patches import partial
from tests.object_cases import (
    EXAMPLES,
    as_body,
    check_enum,
    check_faults,
    check_right,
    document,
    refused,
)
from tokens.objects import Token

OBJECTS = ["Token", "AuthorizationInfo", "EnergyContract", "LocationReferences"]
ENUMS = ["AllowedType", "TokenType", "WhitelistType"]


@pytest.mark.parametrize("name", OBJECTS)
def test_an_object_with_all_fields_or_only_the_required_ones_is_right(name):
    check_right(name, getattr(tokens.objects, name))


@pytest.mark.parametrize("name", OBJECTS)
def test_a_fault_is_refused_and_its_field_named(name):
    check_faults(name, getattr(tokens.objects, name))


@pytest.mark.parametrize("name", ENUMS)
def test_the_values_are_those_of_the_text(name):
    check_enum(name, getattr(tokens.objects, name))


@pytest.mark.parametrize(
    "file", ["token_example_1_app_user", "token_example_2_full_rfid", "token_put_example"]
)
def test_the_tokens_of_the_text_are_right(file):
    assert decode((EXAMPLES / f"{file}.json").read_bytes(), Token).uid


def test_the_tokens_in_answers_of_the_text_are_right():
    one = json.loads((EXAMPLES / "transport_and_format_get_token_example.json").read_bytes())
    more = json.loads((EXAMPLES / "transport_and_format_get_token_list_example.json").read_bytes())
    for token in (one["data"], *more["data"]):
        assert decode(as_body(token), Token).valid is token["valid"]


def test_the_patch_of_the_text_is_right():
    patch = decode((EXAMPLES / "token_patch_example.json").read_bytes(), partial(Token))
    assert patch.last_updated.year == 2019


def test_a_patch_is_checked_by_the_same_rules():
    check_faults("Token", partial(Token), is_patch=True)


def test_an_empty_uid_names_no_token():
    assert "`$.uid`" in refused(as_body(document("Token") | {"uid": ""}), Token)
