"""The differences from the text that are noted, in words, and what the text asks instead."""

from typing import Final, NamedTuple

from hub.ocpi.v2_2_1 import VERSION


class DeviationRule(NamedTuple):
    """`title` says what was met, `asked` what to send instead."""

    title: str
    asked: str


# By the name that a Deviation has where it is made (hub/ocpi/comparison.py, and where else one is
# made).
RULES: Final[dict[str, DeviationRule]] = {
    "date-time": DeviationRule(
        "a time that is spelled otherwise",
        "types, DateTime: 2015-06-29T20:39:09Z, in UTC; no offset, no blank, at most 25 characters",
    ),
    "number-as-text": DeviationRule(
        "a number in quotation marks", "types, number: a JSON number, 12.5"
    ),
    "whole-number": DeviationRule("an integer with a fraction of zero", "an int is 230, not 230.0"),
    "fraction": DeviationRule("a fraction where an integer is due", "an int has no fraction"),
    "out-of-range": DeviationRule(
        "a number out of its range", "the range that the field's table names"
    ),
    "text-as-number": DeviationRule(
        "a number where a text is due", 'a text in quotation marks: "12"'
    ),
    "unknown-enum-value": DeviationRule(
        "a value that the enum does not have",
        f"one of the values in the enum's table of OCPI {VERSION}, in capitals as there",
    ),
    "too-long": DeviationRule(
        "a text that is too long", "no more characters than the field's table allows"
    ),
    "too-short": DeviationRule(
        "a text that is too short", "as many characters as the field's table asks"
    ),
    "format": DeviationRule(
        "a value in another format", "the format that the field's table describes"
    ),
    "not-ascii": DeviationRule(
        "a CiString with characters beyond ASCII", "types, CiString: ASCII alone"
    ),
    "unprintable": DeviationRule(
        "a text with line breaks or control characters",
        "types, string and CiString: printable characters alone",
    ),
    "empty-value": DeviationRule(
        "an optional field with nothing in it", "leave an optional field out that has no value"
    ),
    "empty-list": DeviationRule(
        "an empty list", "a list marked + has at least one item; leave out one marked * or ?"
    ),
    "null": DeviationRule(
        "null in a required field", "a field that is marked 1 always has a value"
    ),
    "missing": DeviationRule(
        "a required field that is missing", "a field that is marked 1 or + is sent"
    ),
    "wrong-kind": DeviationRule(
        "a value of another JSON type", "the JSON type of the field: text, number, true, list, {}"
    ),
    "cross-field": DeviationRule(
        "fields that contradict each other", "what the object's chapter says of both"
    ),
    "extension-not-agreed": DeviationRule(
        "an extension field without an agreement",
        "leave it out, or have the operator enter that you and the other party agree on extension "
        "fields: it was taken out",
    ),
    "extension-value": DeviationRule(
        "an extension field that cannot be read", "the unit and form of docs/flexibility.md"
    ),
    "unknown-extension-field": DeviationRule(
        "a name that an extension field does not have", "the names of docs/flexibility.md"
    ),
    "not-json": DeviationRule(
        "a body that is not JSON", "transport_and_format: JSON in UTF-8 (RFC 8259)"
    ),
    "contradicts-url": DeviationRule(
        "ids that are not those of the URL", "the ids of the URL, or none"
    ),
    "missing-slash": DeviationRule(
        "a URL with no slash behind the endpoint", "endpoint, slash, ids"
    ),
    "doubled-slash": DeviationRule("a URL with two slashes together", "one slash"),
    "letter-case": DeviationRule(
        "a URL of the hub in capitals", "the URL as the version details have it"
    ),
    "module-name": DeviationRule(
        "a URL of the hub with a module under another name", "hubclientinfo"
    ),
    "misspelt-module": DeviationRule(
        "a module under another name", "version details: the ModuleID"
    ),
    "list-without-to": DeviationRule(
        "a GET of a list without OCPI-to", "GET All: OCPI-to-party-id names the hub"
    ),
    "same-start-other-dimensions": DeviationRule(
        "a charging period of a Session PATCH that begins as one before it, with other dimensions",
        "mod_sessions: a ChargingPeriod is sent once; correct it with a PUT of the whole Session",
    ),
    "several-objects": DeviationRule("several objects in one message", "one object a message"),
    "sister-party": DeviationRule(
        "an object of another party of the platform", "OCPI-from names the owner of the object"
    ),
    "other": DeviationRule("a value that cannot be read", "what the example says"),
}


def rule_of(name: str) -> DeviationRule:
    """The rule in words; for a rule that has left this list, its name as it was noted."""
    return RULES.get(name) or DeviationRule(
        name.replace("-", " "), f"see the field in OCPI {VERSION}"
    )
