"""/metrics for Prometheus: true across processes and restarts, since it is read from the database.

Who may read it: whoever presents METRICS_TOKEN as a bearer token, and who may at the console. While
no token is set and the hub is on trial (no PUBLIC_URL), this machine too: a request that comes from
loopback and through no proxy.
"""

import hmac
from collections.abc import Callable, Iterator
from ipaddress import ip_address
from typing import Final

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from prometheus_client import Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.registry import Collector, CollectorRegistry

from hub.deviations import noting
from hub.models import Party, Platform
from hub.models.quotas import COUNTED, Usage
from hub.monitoring import running
from hub.monitoring.alerts.models import Alert, Rule, Target
from hub.outbox import owed
from hub.record.models import Tally
from hub.record.tallies import BOUNDS, MESSAGES

_FORWARDED: Final = ("HTTP_X_FORWARDED_FOR", "HTTP_FORWARDED", "HTTP_X_REAL_IP", "HTTP_VIA")


def metrics(request: HttpRequest) -> HttpResponse:
    """All families in the text format; 401 for others."""
    if not _may_read(request):
        return HttpResponse(
            "Present METRICS_TOKEN as a bearer token.\n",
            status=401,
            content_type="text/plain",
            headers={"WWW-Authenticate": 'Bearer realm="metrics"'},
        )
    registry = CollectorRegistry()
    registry.register(_Hub())
    return HttpResponse(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)


def _may_read(request: HttpRequest) -> bool:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if settings.METRICS_TOKEN and scheme.lower() == "bearer":
        return hmac.compare_digest(token.strip().encode(), settings.METRICS_TOKEN.encode())
    user = getattr(request, "user", AnonymousUser())
    if user.is_active and user.is_staff and user.has_perm("hub.view_metrics"):
        return True
    return not settings.METRICS_TOKEN and settings.IS_TRIAL and _is_local(request)


def _is_local(request: HttpRequest) -> bool:
    if any(header in request.META for header in _FORWARDED):
        return False
    try:
        return ip_address(request.META.get("REMOTE_ADDR", "")).is_loopback
    except ValueError:
        return False


class _Hub(Collector):
    """Read anew for each scrape."""

    def collect(self) -> Iterator[Metric]:
        """A few small queries."""
        yield from _messages()
        names = dict(Platform.objects.values_list("pk", "name"))

        def platform(key: str) -> str:
            return f"{key} {names.get(int(key), '')}".strip() if key.isdigit() else key

        yield _counted("deliveries", "Pushes by how they ended.", ("platform", "state"), platform)
        yield _counted("delivery_retries", "Pushes sent once more.", ("platform",), platform)
        yield _counted(
            "profile_commands", "Charging profile commands by how they ended.", ("method", "state")
        )
        yield _counted(
            "refused", "Requests refused with 429, by limit.", ("platform", "limit"), platform
        )
        yield _counted(
            "token_form_attempts",
            "Messages sent once more with the token in the other form, by what came of it.",
            ("platform", "outcome"),
            platform,
        )
        yield _counted("unrecorded", "Messages that the record lost.", ())
        yield _counted("strangers", "Requests without a known credentials token.", ())
        yield _counted(
            noting.TALLY, "Differences from the text that were met.", ("platform", "rule"), platform
        )
        yield from _queues(platform)
        yield from _quotas()
        yield _parties()
        yield from running.families()
        yield from _alerts()


def _messages() -> Iterator[Metric]:
    """How many, and how long they took, out of the same numbers."""
    total = CounterMetricFamily(
        "flexhub_messages",
        "Messages in and out; code is OCPI's, kind the way through the hub.",
        labels=("direction", "kind", "module", "code"),
    )
    took = HistogramMetricFamily(
        "flexhub_message_seconds",
        "From request to answer.",
        labels=("direction", "kind", "module"),
    )
    numbers: dict[tuple[str, str, str, str], int] = {}
    buckets: dict[tuple[str, str, str], list[int]] = {}
    sums: dict[tuple[str, str, str], float] = {}
    for tally in Tally.objects.filter(name=MESSAGES).order_by("labels"):
        direction, kind, module, code, bucket = tally.labels.split("|")
        of = (direction, kind, module)
        by_code = (*of, code)
        numbers[by_code] = numbers.get(by_code, 0) + tally.number
        buckets.setdefault(of, [0] * (len(BOUNDS) + 1))[int(bucket)] += tally.number
        sums[of] = sums.get(of, 0.0) + tally.seconds
    for by_code, number in numbers.items():
        total.add_metric(by_code, number)
    bounds = [str(bound) for bound in BOUNDS] + ["+Inf"]
    for of, counts in buckets.items():
        below = [sum(counts[: index + 1]) for index in range(len(counts))]
        took.add_metric(of, list(zip(bounds, below, strict=True)), sums[of])
    yield total
    yield took


def _alerts() -> Iterator[Metric]:
    """Without names of parties: what goes on, the console tells."""
    firing = GaugeMetricFamily(
        "flexhub_alerts_firing",
        "Alerts of the hub's own rules that go on.",
        labels=("kind", "severity"),
    )
    numbers = {(rule.kind, rule.severity): 0 for rule in Rule.objects.filter(is_on=True)}
    open_now = Alert.objects.filter(ended_at__isnull=True)
    for key in open_now.values_list("rule__kind", "rule__severity"):
        numbers[key] = numbers.get(key, 0) + 1
    for key, number in sorted(numbers.items()):
        firing.add_metric(key, number)
    yield firing
    failing = GaugeMetricFamily(
        "flexhub_alert_targets_failing", "Targets of alerts that could not be told lately."
    )
    failing.add_metric((), Target.objects.filter(is_on=True).exclude(problem="").count())
    yield failing


def _counted(
    name: str, told: str, labels: tuple[str, ...], first: Callable[[str], str] = str
) -> Metric:
    family = CounterMetricFamily(f"flexhub_{name}", told, labels=labels)
    for tally in Tally.objects.filter(name=name).order_by("labels"):
        values = tally.labels.split("|") if tally.labels else []
        family.add_metric([*map(first, values[:1]), *values[1:]], tally.number)
    return family


def _queues(platform: Callable[[str], str]) -> Iterator[Metric]:
    """What waits for each receiver now, and for how long, and what it has not taken.

    By platform alone: with modules there were thousands of numbers, which the console has.
    """
    waiting = GaugeMetricFamily(
        "flexhub_deliveries_waiting",
        "Objects and messages that wait for a receiver.",
        labels=("platform",),
    )
    age = GaugeMetricFamily(
        "flexhub_delivery_queue_age_seconds",
        "How long the oldest of them has waited.",
        labels=("platform",),
    )
    refused = GaugeMetricFamily(
        "flexhub_objects_refused",
        "Objects that a receiver does not take as they are now.",
        labels=("platform",),
    )
    given_up = GaugeMetricFamily(
        "flexhub_messages_given_up",
        "Messages that a receiver did not get, and that can be sent again.",
        labels=("platform",),
    )
    now = timezone.now()
    for receiver, number, oldest in owed.by_receiver():
        waiting.add_metric([platform(str(receiver))], number)
        age.add_metric([platform(str(receiver))], max((now - oldest).total_seconds(), 0.0))
    for receiver, number in owed.refused_by_receiver():
        refused.add_metric([platform(str(receiver))], number)
    for receiver, number in owed.given_up_by_receiver():
        given_up.add_metric([platform(str(receiver))], number)
    yield waiting
    yield age
    yield refused
    yield given_up


def _quotas() -> Iterator[Metric]:
    """Without names of parties: which ones, the console tells."""
    refused = CounterMetricFamily(
        "flexhub_over_quota", "What was new and not taken, beyond a quota.", labels=("what",)
    )
    share = GaugeMetricFamily(
        "flexhub_quota_used_ratio",
        "Of the party that has used most of its quota.",
        labels=("what",),
    )
    numbers: dict[str, int] = dict.fromkeys(COUNTED, 0)
    shares: dict[str, float] = dict.fromkeys(COUNTED, 0.0)
    for usage in Usage.objects.all():
        numbers[usage.what] += usage.refused
        if usage.most:
            shares[usage.what] = max(shares[usage.what], usage.number / usage.most)
    for what in COUNTED:
        refused.add_metric([what], numbers[what])
        share.add_metric([what], shares[what])
    yield refused
    yield share


def _parties() -> Metric:
    family = GaugeMetricFamily(
        "flexhub_parties", "Parties by role and connection status.", labels=("role", "status")
    )
    counts: dict[tuple[str, str], int] = {}
    for key in Party.objects.values_list("role", "status"):
        counts[key] = counts.get(key, 0) + 1
    for key, number in sorted(counts.items()):
        family.add_metric(key, number)
    return family
