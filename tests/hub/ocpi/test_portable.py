"""One odd object spoils nobody's page: what not every reader of JSON takes is told to nobody."""

import pytest

from hub.ocpi.errors import InvalidParameters
from hub.ocpi.portable import MOST_LEVELS, problem
from hub.ocpi.reading import read
from locations.models import ESSENTIALS
from tests.object_cases import as_body, document

TAKEN = [
    b"[" * MOST_LEVELS + b"]" * MOST_LEVELS,
    b'{"a":"' + b"]}[{" * 100 + b'","b":"\\"[[["}',
    b'{"uid":"04A9E12345","n":1.5e10,"m":1e308,"d":"%s"}' % (b"9" * 400),
    b'{"n":%s}' % (b"9" * 300),
    b'{"n":0.%s}' % (b"3" * 900),
    b'{"n":1e-400}',
]
REFUSED = {
    b'{"a":' * (MOST_LEVELS + 1) + b"1" + b"}" * (MOST_LEVELS + 1): "deeper",
    b'{"b":"}","a":' + b"[" * 40 + b"]" * 40 + b"}": "deeper",
    b'{"n":%s}' % (b"9" * 5000): "too large",
    b'{"n":%s}' % (b"9" * 310): "too large",
    b'{"n":0.%s}' % (b"3" * 1000): "too large",
    b'{"n":1e400}': "too large",
    b'{"n":[-1E+99999999]}': "too large",
}


def test_only_what_some_readers_do_not_take_is_a_problem():
    assert [problem(body) for body in TAKEN] == [""] * len(TAKEN)
    for body, words in REFUSED.items():
        assert words in problem(body), body[:40]


def test_it_is_refused_in_a_field_that_nobody_knows_too():
    location = as_body(document("Location"))
    for value in (b"1e400", b"7" * 5000, b"[" * 40 + b"]" * 40):
        with pytest.raises(InvalidParameters, match="tell this to all"):
            read(location[:-1] + b',"extra":%s}' % value, ESSENTIALS[0])
