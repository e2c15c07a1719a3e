"""Characters of strings, spelling of times, and numbers (types)."""

from datetime import UTC, datetime
from decimal import Decimal

import msgspec
import pytest

from hub.ocpi.datatypes import CiString36, DateTime, Number, String255, as_document, decode
from hub.ocpi.errors import InvalidParameters, NotJson


class Inner(msgspec.Struct):
    ids: list[CiString36]
    texts: list[String255] | None = None
    moment: DateTime | None = None
    count: int = 0


class Outer(msgspec.Struct):
    name: String255
    inners: list[Inner]


class Amount(msgspec.Struct):
    amount: Number


def read(text: str) -> Outer:
    return decode(text.encode(), Outer)


def inner(**fields: str) -> str:
    body = "".join(f',"{name}":{value}' for name, value in fields.items())
    head = '{"name":"N","x_unknown":"\\n\u0085","inners":[{"ids":["A"]},{"ids":["A","B"]'
    return head + body + "}]}"


@pytest.mark.parametrize(
    "text",
    [
        "Köln", "\\u00fc", "a\\/b", "a\\\\n", 'a\\"b', "10\u00a0€", "東京", "🔌", "\\ud83d\\udd0c",
        " ", "-01 12:30: T12:30:00+",
    ],
)  # fmt: skip
def test_a_string_is_printable_unicode(text):
    assert read(inner(texts=f'["{text}"]')).inners[1].texts


@pytest.mark.parametrize(
    "text",
    [
        "\\n", "\\r", "\\t", "\\b", "\\f", "\\u0000", "\\u001F", "\\u007f", "\\u0085", "\\u2028",
        "\\u2029", "\x7f", "\u0085", "\u2028", "\u2029",
    ],
)  # fmt: skip
def test_a_string_has_no_control_characters(text):
    with pytest.raises(InvalidParameters) as refusal:
        read(inner(texts=f'["ok","a{text}b"]'))
    assert refusal.value.message == "Expected printable characters only - at `$.inners[1].texts[1]`"


@pytest.mark.parametrize("text", ["ü", "\\u00fc", "\\n", "\x7f", "\u0085", "\uff2e"])
def test_a_cistring_is_printable_ascii(text):
    with pytest.raises(InvalidParameters) as refusal:
        decode(b'{"name":"N","inners":[{"ids":["A","%s"]}]}' % text.encode(), Outer)
    assert refusal.value.message.endswith("at `$.inners[0].ids[1]`")


@pytest.mark.parametrize("text", ["2019-06-24T12:39:09Z", "2019-06-24T12:39:09.123456789"])
def test_a_time_in_utc_is_read(text):
    moment = read(inner(moment=f'"{text}"')).inners[1].moment
    assert moment is not None
    assert moment.replace(tzinfo=UTC, microsecond=0) == datetime(2019, 6, 24, 12, 39, 9, tzinfo=UTC)


def test_a_time_elsewhere_is_no_concern_of_ours():
    text = inner(texts='["2019-06-24T12:39:09+02:00"]', x_time='"2019-06-24 12:39:09"')
    assert read(text).inners[1].texts


@pytest.mark.parametrize("text", ["2019-06-24T12:39:09+00:00", "2019-06-24 12:39:09"])
def test_a_time_in_another_form_is_named(text):
    with pytest.raises(InvalidParameters) as refusal:
        read(inner(moment=f'"{text}"'))
    assert refusal.value.message == (
        "Expected a DateTime in UTC such as 2015-06-29T20:39:09Z - at `$.inners[1].moment`"
    )


@pytest.mark.parametrize(
    ("value", "name"),
    [('"1"', "str"), ("true", "bool"), ("null", "null"), ("[]", "array"), ("{}", "object")],
)
def test_a_number_is_a_json_number(value, name):
    with pytest.raises(InvalidParameters) as refusal:
        decode(b'{"amount":%s}' % value.encode(), Amount)
    assert refusal.value.message == f"Expected `number`, got `{name}` - at `$.amount`"


@pytest.mark.parametrize("value", ["1e1000", "-1e-1000", "9" * 2000])
def test_a_number_of_a_thousand_digits_is_refused(value):
    with pytest.raises(InvalidParameters, match=r"out of range - at `\$.amount`"):
        decode(b'{"amount":%s}' % value.encode(), Amount)


@pytest.mark.parametrize("value", ["1.10", "1E+3", "0.30000000000000004", "-0.5", "7"])
def test_a_number_is_written_as_it_was_read(value):
    read = decode(b'{"amount":%s}' % value.encode(), Amount)
    assert read.amount == Decimal(value)
    assert as_document(read) == b'{"amount":%s}' % value.encode()


def test_plain_values_keep_their_floats():
    assert decode(b'{"a":[1.5,1]}', dict[str, list[object]]) == {"a": [1.5, 1]}


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b'{"amount":"x"', b'{"amount":1}}', b'{"amount":NaN}',
        b'{"amount":1,"x":"\xff"}', b'{"amount":1,"x":' + b"[" * 10_000,
        b'{"amount":"x","x":"\xff"}',
    ],
)  # fmt: skip
def test_what_is_not_json_is_not_judged(body):
    with pytest.raises(NotJson):
        decode(body, Amount)


def test_half_a_character_is_no_text():
    with pytest.raises(NotJson):
        read(inner(texts='["\\ud83d"]'))


def test_any_json_may_be_read():
    assert decode(b'[1.5,{"a":"b"}]', object) == [1.5, {"a": "b"}]
