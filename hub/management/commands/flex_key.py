"""Make, list and revoke keys of the flex API (flex/api/)."""

from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.db.models import F

from flex.api import keys
from flex.api.models import ApiKey, KeyKind, Use
from hub.management.audited import AuditedCommand
from hub.management.parties import named_party
from hub.ocpi.party import PartyId
from hub.routing.directory import holder


class Command(AuditedCommand):
    help = (
        "Make a key of the flex API for a party's back-end, which is printed once: "
        "`flex_key NL-MSP`. `--list` shows the keys that there are, `--revoke PREFIX` ends one."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("party", type=named_party, nargs="?", metavar="NL-MSP")
        parser.add_argument(
            "--use",
            action="append",
            choices=[str(use) for use in Use],
            help="what it opens; may be said more than once. Without it: all that its roles allow",
        )
        parser.add_argument("--name", default="", help="a note, by which people know it")
        parser.add_argument("--list", action="store_true", help="show keys of back-ends")
        parser.add_argument("--revoke", metavar="PREFIX", help="end a key, and those it has minted")

    def handle(self, *args: Any, **options: Any) -> None:
        """One of the three."""
        if options["revoke"]:
            self._revoke(options["revoke"])
        elif options["list"]:
            self._list(options["party"])
        elif options["party"] is None:
            raise CommandError("Name the party that the key is for, such as NL-MSP.")
        else:
            self._make(options)

    def _make(self, options: dict[str, Any]) -> None:
        party: PartyId = options["party"]
        uses = [Use(use) for use in options["use"] or allowed(party)]
        new = keys.of_party(party, uses, name=options["name"], made_by="the command line")
        self.stderr.write(f"Key {new.key.prefix} of {party} for {', '.join(uses)}, shown once:")
        self.stdout.write(new.secret)

    def _list(self, party: PartyId | None) -> None:
        rows = ApiKey.objects.filter(kind=KeyKind.PARTY)
        if party is not None:
            rows = rows.filter(country_code=party.country_code, party_id=party.party_id)
        for key in rows.order_by(F("revoked_at").asc(nulls_first=True), "created_at"):
            state = f"revoked {key.revoked_at:%Y-%m-%d}" if key.revoked_at else "valid"
            used = f"{key.last_used_at:%Y-%m-%d %H:%M}" if key.last_used_at else "never"
            self.stdout.write(
                f"{key.prefix} {key.party} {','.join(key.uses)} {state}, last used {used} "
                f"{key.name}".rstrip()
            )

    def _revoke(self, prefix: str) -> None:
        key = ApiKey.objects.filter(prefix=prefix).first()
        if key is None:
            raise CommandError(f"There is no key {prefix!r}.")
        has_ended = keys.revoke(key)
        self.stdout.write(f"Key {key} is revoked{'' if has_ended else ' already'}.")


def allowed(party: PartyId) -> list[Use]:
    """What the roles of a party allow; CommandError for one that the hub does not know."""
    entry = holder.current().parties.get(party)
    if entry is None:
        raise CommandError(f"{party} is not a party of this hub.")
    return keys.allowed(entry)
