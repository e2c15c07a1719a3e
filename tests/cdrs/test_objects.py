"""CDR and its data types (mod_cdrs, Object description)."""

import json
from decimal import Decimal

import pytest

import cdrs.objects
from cdrs.objects import CDR, SESSION_ONLY, CdrDimension
from hub.ocpi.datatypes import decode
from tests.object_cases import (
    EXAMPLES,
    as_body,
    check_enum,
    check_faults,
    check_right,
    document,
    refused,
)

OBJECTS = [
    "CDR",
    "CdrDimension",
    "CdrLocation",
    "CdrToken",
    "ChargingPeriod",
    "SignedData",
    "SignedValue",
]
ENUMS = ["AuthMethod", "CdrDimensionType"]


@pytest.mark.parametrize("name", OBJECTS)
def test_an_object_with_all_fields_or_only_the_required_ones_is_right(name):
    check_right(name, getattr(cdrs.objects, name))


@pytest.mark.parametrize("name", OBJECTS)
def test_a_fault_is_refused_and_its_field_named(name):
    check_faults(name, getattr(cdrs.objects, name))


@pytest.mark.parametrize("name", ENUMS)
def test_the_values_are_those_of_the_text(name):
    check_enum(name, getattr(cdrs.objects, name))


def test_the_cdr_of_the_text_is_right():
    cdr = decode((EXAMPLES / "cdr_example.json").read_bytes(), CDR)
    assert (cdr.total_cost.excl_vat, cdr.total_energy) == (Decimal("4.00"), Decimal("15.342"))


def test_a_credit_cdr_names_the_cdr_that_it_credits():
    credit = document("CDR") | {"credit": True}
    assert decode(as_body(credit), CDR).credit_reference_id
    assert "credit_reference_id" in refused(as_body(credit | {"credit_reference_id": None}), CDR)


@pytest.mark.parametrize("credit", [{}, {"credit": None}, {"credit": False}])
def test_only_a_credit_cdr_has_a_longer_id(credit):
    cdr = document("CDR", is_full=False) | credit
    assert "id " in refused(as_body(cdr | {"id": "x" * 37}), CDR)
    assert decode(as_body(cdr | {"id": "x" * 36}), CDR)


@pytest.mark.parametrize("dimension", sorted(SESSION_ONLY))
def test_what_is_for_sessions_only_is_no_dimension_of_a_cdr(dimension):
    period = document("ChargingPeriod") | {"dimensions": [{"type": dimension, "volume": 1}]}
    assert decode(as_body(period), cdrs.objects.ChargingPeriod)
    cdr = document("CDR") | {"charging_periods": [document("ChargingPeriod"), period]}
    message = refused(as_body(cdr), CDR)
    assert "charging_periods[1]" in message
    assert dimension in message


@pytest.mark.parametrize("volume", [-1, 100.5])
def test_a_state_of_charge_is_a_percentage(volume):
    body = as_body({"type": "STATE_OF_CHARGE", "volume": volume})
    assert "volume" in refused(body, CdrDimension)
    assert decode(as_body({"type": "POWER", "volume": volume}), CdrDimension)


def test_a_reservation_that_was_never_used_has_no_evse():
    place = document("CdrLocation") | {"evse_uid": "#NA", "evse_id": "#NA", "connector_id": "#NA"}
    assert (
        decode(as_body(document("CDR") | {"cdr_location": place}), CDR).cdr_location.evse_id
        == "#NA"
    )


def test_numbers_may_be_negative_and_of_any_precision():
    text = json.dumps(document("CDR")).replace('"total_time": 1.5', '"total_time": -1.9730000001')
    assert decode(text.encode(), CDR).total_time == Decimal("-1.9730000001")
