"""Fetch a party's lists now (transport_and_format, Client Owned Object Pull)."""

import time
from typing import Any

from django.core.management.base import CommandError, CommandParser

from hub.management.audited import AuditedCommand
from hub.management.parties import add_party, party_of
from hub.models.pulls import Pull, PullState
from hub.ocpi.escaping import escaped
from hub.store.kinds import broadcast_kinds
from hub.sync import pull_tasks

LOOK_AGAIN = 0.5  # seconds


class Command(AuditedCommand):
    help = "Have the hub read a party's lists of Locations, Tariffs or Tokens now."

    def add_arguments(self, parser: CommandParser) -> None:
        add_party(parser)
        parser.add_argument(
            "--module",
            action="append",
            choices=broadcast_kinds(),
            help="may be repeated; default: all",
        )
        parser.add_argument(
            "--full", action="store_true", help="the whole list, not what changed since the last"
        )
        parser.add_argument(
            "--wait", action="store_true", help="carry it here; exit code 1 when one fails"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Ask for it; with --wait do it, turn by turn, as a worker would."""
        identity = party_of(options["country_code"], options["party_id"])
        try:
            wanted = pull_tasks.request(
                identity, options["module"] or list(broadcast_kinds()), full=options["full"]
            )
        except pull_tasks.NothingToPull as error:
            raise CommandError(str(error)) from error
        if not options["wait"]:
            self.stdout.write(f"{', '.join(map(str, wanted))}: a worker begins now.")
            return
        ids = [one.pk for one in wanted]
        while Pull.objects.filter(pk__in=ids, is_requested=True).exists():
            if not pull_tasks.take_turn(wanted[0].platform_id):
                time.sleep(LOOK_AGAIN)  # A worker reads it, or the party asked to wait.
        ended = list(Pull.objects.filter(pk__in=ids).order_by("module"))
        for one in ended:
            self.stdout.write(
                f"{one}: {one.state}, {one.pages} pages, {one.stored} stored, {one.unchanged} "
                f"unchanged, {one.bad} not valid, {one.foreign} of others, "
                f"{one.over_quota} over quota, {one.removed} removed"
                + (f"; {escaped(one.last_error)}" if one.last_error else "")
            )
        failed = [str(one) for one in ended if one.state == PullState.FAILED or one.last_error]
        if failed:
            raise CommandError(f"Not read to the end: {', '.join(failed)}.", returncode=1)
