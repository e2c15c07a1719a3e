"""What the delivery engine is compared with: one Celery task for each delivery, sent by requests.

A row for each receiver with the whole body, a task for each row that reads it, sends it over a
connection that is kept alive, and marks it.
"""

import os

import django
import requests

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hub.settings")
django.setup()

from celery import Celery  # noqa: E402 - settings first
from django.conf import settings  # noqa: E402
from django.utils import timezone  # noqa: E402

from hub.models import Delivery, DeliveryState, Endpoint, Platform  # noqa: E402
from hub.ocpi import headers  # noqa: E402

app = Celery("one_task", broker=settings.CELERY_BROKER_URL)
app.conf.task_ignore_result = True
app.conf.task_default_queue = "one_task"
app.conf["CELERY_DB_REUSE_MAX"] = 2**60
http = requests.Session()
http.trust_env = False
_known: dict[tuple[int, str], tuple[str, str]] = {}


@app.task(name="one_task.deliver")
def deliver(pk: int) -> None:
    """Carry one row."""
    row = Delivery.objects.get(pk=pk)
    key = (row.receiver_id, row.module)
    if key not in _known:  # as a directory in memory would
        token = headers.authorization(Platform.objects.get(pk=row.receiver_id).token_b)
        url = Endpoint.objects.get(platform=row.receiver_id, identifier=row.module).url
        _known[key] = (url, token)
    url, token = _known[key]
    sent = {
        "Authorization": token,
        "Content-Type": "application/json",
        headers.REQUEST_ID: headers.new_id(),
        headers.CORRELATION_ID: row.correlation_id,
        headers.FROM_COUNTRY_CODE: row.from_country_code,
        headers.FROM_PARTY_ID: row.from_party_id,
        headers.TO_COUNTRY_CODE: row.to_country_code,
        headers.TO_PARTY_ID: row.to_party_id,
    }
    answer = http.request(
        row.method, f"{url}/{row.path}", headers=sent, data=bytes(row.body), timeout=10
    )
    Delivery.objects.filter(pk=pk).update(
        state=DeliveryState.DELIVERED,
        outcome=f"HTTP {answer.status_code}",
        attempts=1,
        ended_at=timezone.now(),
    )
