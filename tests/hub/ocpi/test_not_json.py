"""What is not JSON is told in words that say what to change (transport_and_format, JSON)."""

import gzip

import pytest

from hub.ocpi.comparison import plain
from hub.ocpi.datatypes import check_json
from hub.ocpi.errors import NotJson

REFUSED = {
    b"\xef\xbb\xbf{}": "byte order mark",
    gzip.compress(b"{}"): "compressed with gzip",
    '{"a":1}'.encode("utf-16"): "UTF-16",
    '{"a":1}'.encode("utf-16-le"): "UTF-16",
    '{"a":1}'.encode("utf-32-be"): "UTF-32",
    b"<html>": "XML or HTML",
    b"{'a': 1}": "double quotes",
    '{"a":"é"}'.encode("latin-1"): "byte 6 is not UTF-8",
    b'{"a": NaN}': "NaN or Infinity",
    b"[-Infinity]": "NaN or Infinity",
    b'{"a":"\\ud83d"}': "second half",
    b'{"a":"\\ude00"}': "second half",
    b"  ": "nothing in it",
    b'{"a":1,}': "trailing comma",
}


@pytest.mark.parametrize("reader", [check_json, plain])
def test_the_mistake_is_named(reader):
    for body, words in REFUSED.items():
        with pytest.raises(NotJson) as caught:
            reader(body)
        assert words in caught.value.message, (body, caught.value.message)


@pytest.mark.parametrize("reader", [check_json, plain])
def test_what_is_json_is_not_mistaken(reader):
    for body in (b'{"a":"NaN"}', b'{"a":"\\ud83d\\ude00"}', b'{"a":": NaN","b":"\\u0000"}'):
        reader(body)
