"""Who is who: `country_code` + `party_id`, compared without case (credentials, types: CiString)."""

import re
from functools import lru_cache
from typing import NamedTuple, Self

_CODE = re.compile(r"[A-Za-z0-9]{2}")
_ID = re.compile(r"[A-Za-z0-9*]{1,3}")


@lru_cache(maxsize=4096)  # three times for each message
def _comparable(country_code: str, party_id: str) -> tuple[str, str]:
    if not (_CODE.fullmatch(country_code) and _ID.fullmatch(party_id)):
        raise ValueError(f"{country_code!r} {party_id!r} is not country_code(2) party_id(3)")
    return country_code.upper(), party_id.upper()


class PartyId(NamedTuple):
    """`country_code` (2) and `party_id` (3), in upper case so that two spellings are equal.

    What is sent on keeps the sender's own spelling; this form only compares and looks up.
    """

    country_code: str
    party_id: str

    @classmethod
    def of(cls, country_code: str, party_id: str) -> Self:
        """Build from two CiStrings; ValueError when one cannot be an identifier."""
        return cls(*_comparable(country_code, party_id))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `NL-ABC`, the form of the command line and the logs."""
        country_code, dash, party_id = text.partition("-")
        if not dash:
            raise ValueError(f"{text!r} is not of the form NL-ABC")
        return cls.of(country_code, party_id)

    def __str__(self) -> str:
        return f"{self.country_code}-{self.party_id}"
