"""What opens something or names a driver is hidden, however it is spelled, at a bounded price."""

import json
from urllib.parse import quote

import pytest

from hub.ocpi import masking
from hub.ocpi.datatypes import InterfaceRole
from hub.ocpi.masking import (
    HIDDEN,
    decoded,
    masked,
    masked_body,
    quiet_path,
    safe_path,
    safe_query,
    without_keys,
    without_path,
    without_secrets,
)
from hub.ocpi.modules import Match, match

UID = "0123456789ABCDEF"
KEY = "Zt-8_x1Zt8x1Zt8x1"


def encoded(text: str, rounds: int = 1) -> str:
    """Each character percent-encoded, as nobody has to and anybody may."""
    for _ in range(rounds):
        text = "".join(f"%{ord(character):02x}" for character in text)
    return text


# --- Keys of the hub's URLs ----------------------------------------------------------------------


@pytest.mark.parametrize("name", ["via", "profile-result", "check-result"])
@pytest.mark.parametrize(
    "spelled",
    [
        "https://hub.example/ocpi/2.2.1/{name}/{key}",
        "https://hub.example/ocpi/2.2.1/{NAME}/{key}?a=1",
        "https://hub.example/ocpi/2.2.1/{coded}/{key}",
        "https://hub.example/ocpi/2.2.1%2F{name}%2f{key}",
        "https://hub.example/ocpi/2.2.1/{name}/{coded_key}",
        "https%3A%2F%2Fhub.example%2Focpi%2F2.2.1%2F{name}%2F{key}",
        "https%253A%252F%252Fhub.example%252Focpi%252F2.2.1%252F{name}%252F{key}",
        '{{"response_url":"https://hub.example/ocpi/2.2.1/{name}/{key}"}}',
    ],
)
def test_a_key_is_hidden_in_every_spelling_of_its_url(name, spelled):
    url = spelled.format(
        name=name, NAME=name.upper(), coded=encoded(name), key=KEY, coded_key=encoded(KEY)
    )
    found = without_keys(f"cannot POST to {url} now")
    assert found.startswith("cannot POST to ")
    assert found.endswith(" now")
    assert HIDDEN in found
    assert KEY not in decoded(found)


def test_several_keys_are_all_hidden_and_other_text_is_left_as_it_is():
    url = f"/ocpi/2.2.1/via/{KEY}"
    assert (
        without_keys(f"{url},{url} {url}")
        == ",".join([f"/ocpi/2.2.1/via/{HIDDEN}"] * 2) + f" /ocpi/2.2.1/via/{HIDDEN}"
    )
    for text in ("", "100 %", "a/b/c", "via/x", "/viable/x", "%2Fvia%2F", "a  b", "/via/"):
        assert without_keys(text) == text


# --- Drivers in messages -------------------------------------------------------------------------


def place(uid: str) -> Match:
    return match("tokens", InterfaceRole.SENDER, f"{uid}/authorize", "POST")


@pytest.mark.parametrize(
    "body",
    [
        {"uid": UID},
        {"token": {"uid": UID}},
        [{"cdr_token": {"contract_id": UID}}],
        {"a": [[{"visual_number": UID}]]},
        {"auth_id": UID, "b": 1},
        {"group_id": UID},
    ],
)
def test_what_the_body_names_a_driver_by_is_not_in_a_message(body):
    raw = json.dumps(body).encode()
    for said in (UID, UID.lower(), UID.title()):
        assert without_secrets(f"no {said}, sorry", None, raw) == f"no {HIDDEN}, sorry"


def test_escapes_in_the_body_hide_nothing_from_the_search():
    raw = rb'{"\u0075id":"\u00300123\u0034"}'
    assert without_secrets("no 001234", None, raw) == f"no {HIDDEN}"


def test_a_number_may_name_a_driver_too():
    assert without_secrets("no 12345678", None, b'{"uid":12345678}') == f"no {HIDDEN}"


@pytest.mark.parametrize("sent", [UID, encoded(UID), quote("A B/C:1", safe=""), "caf%C3%A9"])
def test_the_uid_in_the_url_is_hidden_encoded_and_decoded(sent):
    for said in (sent, decoded(sent)):
        assert without_secrets(f"no {said}.", place(sent), b"") == f"no {HIDDEN}."


def test_a_path_is_replaced_however_the_message_spells_it():
    path = f"/ocpi/2.2.1/receiver/tokens/NL/ABC/{UID}/more"
    for said in (path, path.replace(UID, encoded(UID)), encoded(path), encoded(path, 2)):
        assert without_path(f"{said} is nothing", path, "…") == "… is nothing"
    assert without_path("100% of it", path, "…") == "100% of it"


def test_a_long_message_is_cut_and_no_secret_is_cut_in_two():
    raw = json.dumps({"uid": UID}).encode()
    for length in range(980, 1003):
        found = without_secrets("x" * length + UID + "y" * 5000, None, raw)
        assert len(found) <= 1001
        assert "012" not in found


def test_what_cannot_be_searched_is_not_kept():
    long = json.dumps({"uid": UID, "long": "x" * 70_000}).encode()
    assert UID not in without_secrets(f"no {UID}", None, long)
    path = "/ocpi/" + UID + "x" * 2000
    assert UID not in without_path(f"{path} is nothing", path, "…")


def test_a_body_that_is_no_json_and_one_that_is_deep_are_no_trouble():
    assert without_secrets("kept", None, b'{"uid":') == "kept"
    assert without_secrets("kept", None, b'{"uid":' + b"[" * 5000 + b"]" * 5000 + b"}") == "kept"


# --- JSON ----------------------------------------------------------------------------------------


def deep(levels: int) -> dict:
    value: dict = {"contract_id": UID}
    for _ in range(levels):
        value = {"a": [value]}
    return value


def test_depth_is_no_matter_to_masking():
    found = masked(deep(50_000))
    for _ in range(50_000):
        found = found["a"][0]
    assert found == {"contract_id": "•••DEF"}


def test_the_given_document_is_left_alone_and_the_order_is_kept():
    given = {"b": [{"uid": UID, "contract_id": UID, "name": "x"}], "a": {"token": UID}}
    before = json.dumps(given)
    found = masked(given)
    assert json.dumps(given) == before
    assert list(found) == ["b", "a"]
    assert list(found["b"][0]) == ["uid", "contract_id", "name"]
    assert found["b"][0]["name"] == "x"
    assert UID not in json.dumps(found)


def test_a_number_is_masked_as_its_digits_are_and_null_is_null():
    assert masked({"contract_id": 123456789, "auth_id": None}) == {
        "contract_id": "•••789",
        "auth_id": None,
    }


def test_a_body_keeps_no_callback_url_wherever_it_stands():
    for body in ({"response_url": "https://x.example/open/sesame"}, [{"a": 1}]):
        text = masked_body(json.dumps([body]).encode(), "commands", 1000)
        assert "sesame" not in text
    assert masked_body(b'{"a":' * 5000, "commands", 1000) == "(25000 bytes that are not JSON)"


# --- Paths and queries ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "kept"),
    [
        ("/ocpi/versions", "versions"),
        ("/ocpi/2.2.1/", "2.2.1"),
        ("/ocpi/2.2.1/credentials", "2.2.1/credentials"),
        (f"/ocpi/2.2.1/via/{KEY}", f"via/{HIDDEN}"),
        (f"/ocpi/2.2.1/VIA/{KEY}", f"VIA/{HIDDEN}"),
        (f"/ocpi/2.2.1/%76ia/{KEY}", f"via/{HIDDEN}"),
        (f"/ocpi/2.2.1%2fprofile-result%2f{KEY}", f"profile-result/{HIDDEN}"),
        ("/ocpi/2.2.1/cdr/NL-CPO/C1", "cdr/…"),
        (f"/ocpi/{UID}", "…"),
        (f"/ocpi/2.1.1/tokens/NL/ABC/{UID}", "…"),
    ],
)
def test_an_unrouted_path_is_kept_as_far_as_the_hub_knows_it(path, kept):
    assert safe_path(path, None) == kept


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/ocpi/versions", "/ocpi/versions"),
        ("/ocpi/2.2.1", "/ocpi/2.2.1"),
        ("/ocpi/2.1.1/locations", "/ocpi/2.1.1/locations"),
        (f"/ocpi/2.2.1/via/{KEY}", "/ocpi/2.2.1/via/…"),
        (f"/ocpi/2.2.1/via%2F{KEY}", "/ocpi/2.2.1/via/…"),
        (f"/ocpi/2.2.1/%2576ia%252F{KEY}", "/ocpi/2.2.1/via/…"),
        (f"/ocpi/tokens/{UID}", "/ocpi/tokens/…"),
        (f"/ocpi/{UID}/x", "/ocpi/…"),
        (f"//ocpi//2.2.1/via/{KEY}", "//ocpi//2.2.1/via/…"),
    ],
)
def test_the_log_says_of_a_path_what_the_hub_knows(path, said):
    assert quiet_path(path) == said


@pytest.mark.parametrize(
    ("query", "kept"),
    [
        ("date_from=2026-01-01T00:00:00Z&limit=10", "date_from=2026-01-01T00:00:00Z&limit=10"),
        (f"type=RFID&secret={UID}&offset=3", "type=RFID&offset=3"),
        (f"limit={'1' * 41}&duration=900", "duration=900"),
        (f"limit=1;x={UID}", ""),
        ("limit", ""),
        ("", ""),
    ],
)
def test_of_a_query_only_the_page_is_kept(query, kept):
    assert safe_query(query) == kept


# --- At a bounded price --------------------------------------------------------------------------


class Counting(str):
    """A text that counts how many characters are looked at through `find` and slices."""

    looked = 0

    def find(self, sub, start=0, end=None):
        found = super().find(sub, start)
        Counting.looked += (found if found >= 0 else len(self)) - start + 1
        return found

    def __getitem__(self, index):
        part = super().__getitem__(index)
        Counting.looked += len(part)
        return part

    def translate(self, table):
        Counting.looked += len(self)
        return Counting(super().translate(table))


@pytest.mark.parametrize(
    "unit", ["/via/a", "/via", "/", "/via//", "/via/-", "a/via/a,", "//via/a/"]
)
def test_twice_the_text_costs_twice_the_steps(unit):
    steps = []
    for size in (500, 1000, 2000):
        Counting.looked = 0
        masking._without_keys(Counting(unit * size))
        steps.append(Counting.looked)
    assert steps[2] <= 2.1 * steps[1] <= 4.5 * steps[0]
    assert steps[2] <= 20 * 2000 * len(unit)
