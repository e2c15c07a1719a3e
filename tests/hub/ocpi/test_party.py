"""Who is who (credentials, CredentialsRole; types, CiString)."""

import pytest

from hub.ocpi.party import PartyId


@pytest.mark.parametrize("spelling", [("NL", "ABC"), ("nl", "abc"), ("Nl", "aBc")])
def test_spellings_are_one_party(spelling):
    assert PartyId.of(*spelling) == PartyId("NL", "ABC")
    assert str(PartyId.of(*spelling)) == "NL-ABC"
    assert PartyId.parse("-".join(spelling)) == PartyId("NL", "ABC")


@pytest.mark.parametrize(
    ("country_code", "party_id"),
    [
        ("", ""),
        ("N", "ABC"),
        ("NLD", "ABC"),
        ("NL", ""),
        ("NL", "ABCD"),
        ("NL", "A B"),
        ("NL", "A/B"),
        ("NL", "ÄB"),
        ("N\n", "ABC"),
        ("NL", "AB\n"),
        ("ßß", "ABC"),
    ],
)
def test_what_cannot_be_a_party_is_refused(country_code, party_id):
    with pytest.raises(ValueError, match="country_code"):
        PartyId.of(country_code, party_id)


@pytest.mark.parametrize("text", ["", "NLABC", "NL ABC", "NL-", "-ABC", "NL-ABCD"])
def test_what_is_not_of_the_form_is_refused(text):
    with pytest.raises(ValueError, match="is not"):
        PartyId.parse(text)
