"""Bodies of PATCH requests (transport_and_format, PATCH)."""

from typing import Any

import msgspec
import pytest

from hub.ocpi.datatypes import CiString36, DateTime, Number, Price, decode
from hub.ocpi.errors import InvalidParameters
from hub.ocpi.patches import Patch, partial


class Thing(msgspec.Struct, kw_only=True):
    id: CiString36
    price: Price | None = None
    amount: Number
    last_updated: DateTime

    def __post_init__(self) -> None:
        if self.amount < 0:
            raise ValueError("amount must not be negative")


def test_a_field_that_was_not_sent_is_unset():
    patch: Any = decode(b'{"id":"A","last_updated":"2019-06-24T12:39:09Z"}', partial(Thing))
    assert issubclass(partial(Thing), Patch)
    assert (patch.id, patch.amount, patch.price) == ("A", msgspec.UNSET, msgspec.UNSET)
    assert msgspec.json.encode(patch) == b'{"last_updated":"2019-06-24T12:39:09Z","id":"A"}'


def test_an_optional_field_may_be_taken_away_by_null_but_no_required_one():
    patch: Any = decode(b'{"price":null,"last_updated":"2019-06-24T12:39:09Z"}', partial(Thing))
    assert patch.price is None
    with pytest.raises(InvalidParameters, match=r"`\$.id`"):
        decode(b'{"id":null,"last_updated":"2019-06-24T12:39:09Z"}', partial(Thing))


def test_last_updated_is_required():
    with pytest.raises(InvalidParameters, match="last_updated"):
        decode(b'{"id":"A"}', partial(Thing))


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ('"id":"\\n"', "$.id"), ('"amount":"1"', "$.amount"), ('"price":{}', "$.price"),
        ('"price":{"excl_vat":"1"}', "$.price.excl_vat"),
    ],
)  # fmt: skip
def test_what_was_sent_is_checked_by_the_rules_of_the_whole(fields, path):
    with pytest.raises(InvalidParameters) as refusal:
        decode(b'{%s,"last_updated":"2019-06-24T12:39:09Z"}' % fields.encode(), partial(Thing))
    assert refusal.value.message.endswith(f"at `{path}`")


def test_rules_between_fields_wait_for_the_merged_object():
    body = b'{"amount":-1,"last_updated":"2019-06-24T12:39:09Z"}'
    assert decode(body, partial(Thing)).last_updated.year == 2019
    assert partial(Thing) is partial(Thing)
