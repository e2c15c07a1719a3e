"""Forgetting what nobody needs any more; Celery beat runs it every hour."""

from datetime import timedelta

from celery import shared_task
from django.db import connection
from django.utils import timezone

from hub.models import Delivery, DeliveryState, DirectoryReader, ForwardedUrl
from hub.record import partitions
from hub.record.models import BodyRecording

KEEP_DELIVERIES = timedelta(days=14)


@shared_task
def clean_up() -> None:
    """Delete what is past its time: ended deliveries, messages, rewritten URLs, dead readers."""
    now = timezone.now()
    Delivery.objects.filter(created_at__lt=now - KEEP_DELIVERIES).exclude(
        state=DeliveryState.WAITING
    ).delete()
    forget_bodies()
    ForwardedUrl.objects.filter(valid_until__lt=now).delete()
    DirectoryReader.objects.filter(seen_at__lt=now - timedelta(days=1)).delete()
    BodyRecording.objects.filter(until__lt=now).delete()
    partitions.make_ahead()
    partitions.drop_old()


@shared_task
def forget_bodies() -> None:
    """Delete the bodies of broadcasts that no delivery refers to any more.

    A body and its deliveries become visible together, so one without any has had them.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM hub_messagebody WHERE NOT EXISTS (SELECT FROM hub_delivery "
            "WHERE hub_delivery.shared_id = hub_messagebody.id)"
        )
