"""The five commands and their answers (mod_commands, Object description)."""

import pytest

import commands.objects
from commands.objects import COMMANDS, CommandType, StartSession
from hub.ocpi.datatypes import decode
from tests.object_cases import (
    as_body,
    check_enum,
    check_faults,
    check_right,
    document,
    refused,
)

OBJECTS = [
    "CancelReservation",
    "ReserveNow",
    "StartSession",
    "StopSession",
    "UnlockConnector",
    "CommandResponse",
    "CommandResult",
]
ENUMS = ["CommandResponseType", "CommandResultType", "CommandType"]


@pytest.mark.parametrize("name", OBJECTS)
def test_an_object_with_all_fields_or_only_the_required_ones_is_right(name):
    check_right(name, getattr(commands.objects, name))


@pytest.mark.parametrize("name", OBJECTS)
def test_a_fault_is_refused_and_its_field_named(name):
    check_faults(name, getattr(commands.objects, name))


@pytest.mark.parametrize("name", ENUMS)
def test_the_values_are_those_of_the_text(name):
    check_enum(name, getattr(commands.objects, name))


def test_each_command_has_its_body():
    assert set(COMMANDS) == set(CommandType)
    for command, body in COMMANDS.items():
        assert body.__name__ == command.title().replace("_", "")


def test_the_connector_to_start_at_is_one_of_a_given_evse():
    start = document("StartSession") | {"evse_uid": None}
    assert "evse_uid" in refused(as_body(start), StartSession)
    assert decode(as_body(start | {"connector_id": None}), StartSession)


def test_a_fault_of_the_token_is_found_inside_the_command():
    start = document("StartSession") | {"token": document("Token") | {"valid": "yes"}}
    assert "`$.token.valid`" in refused(as_body(start), StartSession)
