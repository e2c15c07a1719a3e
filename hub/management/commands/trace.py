"""Print the ladder of one exchange: who told whom what, when, and what failed."""  # noqa: A005 - named as it is typed

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.core.serializers.json import DjangoJSONEncoder

from hub.monitoring import exchange_trace
from hub.ocpi.escaping import escaped


class Command(BaseCommand):
    help = "Print all messages of one X-Correlation-ID as a ladder: party, hub, party."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("correlation_id")
        parser.add_argument("--json", action="store_true", help="an object, for programs")

    def handle(self, *args: Any, **options: Any) -> None:
        """Messages reach the table about a second after they passed."""
        found = exchange_trace.of(options["correlation_id"])
        if found is None:
            raise CommandError(
                f"No message with correlation id {options['correlation_id']!r} is recorded."
            )
        if options["json"]:
            encoder = DjangoJSONEncoder(ensure_ascii=False, indent=2)
            self.stdout.write(encoder.encode(found.as_dict()))
        else:
            for line in exchange_trace.lines(found):
                self.stdout.write(escaped(line))
