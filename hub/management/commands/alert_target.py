"""Say who is told of alerts: add a target, change it, test it, or remove it."""

from datetime import time
from typing import Any
from zoneinfo import available_timezones

from django.core.management.base import CommandError, CommandParser

from hub.management.audited import AuditedCommand
from hub.monitoring.alerts import settling
from hub.monitoring.alerts.models import Channel, Target
from hub.ocpi.errors import InvalidParameters

_CHANNELS = {"webhook": Channel.WEBHOOK, "slack": Channel.SLACK, "email": Channel.EMAIL}


class Command(AuditedCommand):
    help = "Add or change who is told of alerts; a new webhook's secret is printed once."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name")
        where = parser.add_mutually_exclusive_group()
        where.add_argument("--webhook", metavar="URL")
        where.add_argument("--slack", metavar="URL")
        where.add_argument("--email", metavar="ADDRESS")
        parser.add_argument("--quiet", metavar="22:00-07:00", help="`no` for none")
        parser.add_argument("--time-zone", help="of the quiet hours, such as Europe/Amsterdam")
        parser.add_argument("--off", action="store_true", help="tell it nothing for now")
        parser.add_argument("--on", action="store_true")
        parser.add_argument("--test", action="store_true", help="send a test now")
        parser.add_argument("--remove", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        """One target, by its name."""
        target = Target.objects.filter(name=options["name"]).first()
        if options["remove"]:
            if target is None:
                raise CommandError(f"There is no target {options['name']!r}.")
            target.delete()
            self.stdout.write(f"{options['name']} is told nothing any more.")
            return
        self._keep(target or Target(name=options["name"]), options)

    def _keep(self, target: Target, options: dict[str, Any]) -> None:
        named = [(kind, options[name]) for name, kind in _CHANNELS.items() if options[name]]
        if not named and target.pk is None:
            raise CommandError("Say where: --webhook URL, --slack URL or --email ADDRESS.")
        address = ""
        if named:
            target.channel, address = named[0]
        if options["quiet"]:
            target.quiet_from, target.quiet_until = _hours(options["quiet"])
        if zone := options["time_zone"]:
            if zone not in available_timezones():
                raise CommandError(f"{zone!r} is not a time zone such as Europe/Amsterdam.")
            target.time_zone = zone
        target.is_on = (target.is_on or options["on"]) and not options["off"]
        had_secret = bool(target.secret_encrypted)
        try:
            settling.keep(target, address)
        except InvalidParameters as error:
            raise CommandError(error.message) from None
        self.has_acted = True
        self.stdout.write(f"{target}: {target.channel} {target.shown_address}")
        if target.secret_encrypted and not had_secret:
            self.stdout.write(f"Its messages are signed with {target.secret}")
        if options["test"] and (problem := settling.test(target)):
            raise CommandError(f"{target} was not told: {problem}")
        if options["test"]:
            self.stdout.write("It has taken a test message.")


def _hours(text: str) -> tuple[time | None, time | None]:
    if text == "no":
        return None, None
    try:
        begin, end = map(time.fromisoformat, text.split("-"))
    except ValueError:
        raise CommandError(f"--quiet {text!r} is not of the form 22:00-07:00.") from None
    return begin, end
