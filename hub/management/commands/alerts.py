"""What alerts there are, by which rules, and who is told."""

from typing import Any

from django.core.management.base import BaseCommand

from hub.monitoring.alerts.models import Alert, Rule, Target


class Command(BaseCommand):
    help = "List the alerts that go on, the rules, and the targets with what became of them."

    def handle(self, *args: Any, **options: Any) -> None:
        """Three short lists."""
        going_on = Alert.objects.filter(ended_at__isnull=True).select_related("rule")
        self.stdout.write("Alerts that go on:")
        for alert in going_on.order_by("began_at"):
            since = f"{alert.began_at:%Y-%m-%d %H:%M} UTC"
            self.stdout.write(f"  {alert.rule.severity} {alert.rule} since {since}: {alert}")
        self.stdout.write("Rules:")
        for rule in Rule.objects.order_by("kind", "name"):
            state = "" if rule.is_on else " (off)"
            self.stdout.write(f"  {rule}{state}: {rule.kind} {rule.limit:g} {rule.party}".rstrip())
        self.stdout.write("Targets:")
        for target in Target.objects.order_by("name"):
            state = "" if target.is_on else " (off)"
            told = target.problem or (f"told {target.told_at:%H:%M}" if target.told_at else "")
            self.stdout.write(
                f"  {target}{state}: {target.channel} {target.shown_address} {told}".rstrip()
            )
