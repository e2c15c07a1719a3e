"""Say what is worth an alert: add a rule, change it, or remove it."""

from typing import Any

from django.core.management.base import CommandError, CommandParser

from hub.management.audited import AuditedCommand
from hub.monitoring.alerts import settling
from hub.monitoring.alerts.models import Kind, Rule, Severity, Target
from hub.ocpi.errors import InvalidParameters
from hub.ocpi.party import PartyId


class Command(AuditedCommand):
    help = "Add or change a rule by its name; `manage.py alerts` lists them."

    def add_arguments(self, parser: CommandParser) -> None:
        told = "; ".join(f"{kind.value}: {kind.label}" for kind in Kind).replace("%", "%%")
        parser.add_argument("name")
        parser.add_argument("--kind", choices=Kind.values, help=told)
        parser.add_argument("--limit", type=float, help="in the unit of its kind")
        parser.add_argument("--severity", choices=[one.lower() for one in Severity.values])
        parser.add_argument("--party", help="only this one, such as NL-ABC; `all` for all")
        parser.add_argument("--ends-after", type=int, help="seconds that have to be well")
        parser.add_argument(
            "--tell", nargs="*", metavar="TARGET", help="who is told; none named: everybody"
        )
        parser.add_argument("--off", action="store_true")
        parser.add_argument("--on", action="store_true")
        parser.add_argument("--remove", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        """One rule, by its name."""
        rule = Rule.objects.filter(name=options["name"]).first()
        if options["remove"]:
            if rule is None:
                raise CommandError(f"There is no rule {options['name']!r}.")
            rule.delete()
            self.stdout.write(f"{options['name']} is no rule any more.")
            return
        if rule is None and (options["kind"] is None or options["limit"] is None):
            raise CommandError("A new rule needs --kind and --limit.")
        self._keep(rule or Rule(name=options["name"]), options)

    def _keep(self, rule: Rule, options: dict[str, Any]) -> None:
        targets = list(Target.objects.filter(name__in=options["tell"] or []))
        if missing := set(options["tell"] or []) - {target.name for target in targets}:
            raise CommandError(f"There is no target {sorted(missing)[0]!r}.")
        if options["limit"] is not None:
            try:
                settling.check_limit(options["limit"])
            except InvalidParameters as error:
                raise CommandError(error.message) from None
        for name in ("kind", "limit", "ends_after"):
            if options[name] is not None:
                setattr(rule, name, options[name])
        if options["severity"]:
            rule.severity = options["severity"].upper()
        if options["party"]:
            rule.party = _party(options["party"])
        rule.is_on = (rule.is_on or options["on"]) and not options["off"]
        rule.save()
        if options["tell"] is not None:
            rule.targets.set(targets)
        state = "on" if rule.is_on else "off"
        self.stdout.write(f"{rule}: {rule.kind} {rule.limit:g} {rule.party}, {state}")


def _party(text: str) -> str:
    if text == "all":
        return ""
    try:
        return str(PartyId.parse(text))
    except ValueError:
        raise CommandError(f"{text!r} is not of the form NL-ABC.") from None
