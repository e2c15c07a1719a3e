"""How parties are named on the command line: `NL ABC`, or `NL-ABC` as the value of an option."""

import argparse

from django.core.management.base import CommandError, CommandParser

from hub.ocpi.party import PartyId


def add_party(parser: CommandParser) -> None:
    """The two positional arguments that name a party."""
    parser.add_argument("country_code", help="two letters of ISO 3166-1, such as NL")
    parser.add_argument("party_id", help="three letters or digits, such as ABC")


def party_of(country_code: str, party_id: str) -> PartyId:
    """The party that they name; CommandError when it cannot be one."""
    if not (len(country_code) == 2 and country_code.isascii() and country_code.isalpha()):
        raise CommandError(f"country_code {country_code!r} is not two letters, such as NL.")
    try:
        return PartyId.of(country_code, party_id)
    except ValueError as error:
        raise CommandError(
            f"party_id {party_id!r} is not one to three letters or digits, such as ABC."
        ) from error


def named_party(text: str) -> PartyId:
    """The type of an option such as `--cpo NL-CPO`."""
    country_code, _, party_id = text.partition("-")
    try:
        return party_of(country_code, party_id)
    except CommandError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form NL-ABC") from error
