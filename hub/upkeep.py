"""Forgetting what nobody needs any more; Celery beat runs it every hour."""

from datetime import timedelta

from celery import shared_task
from django.utils import timezone

from hub.models import Delivery, DeliveryState, DirectoryReader, ForwardedUrl

KEEP_DELIVERIES = timedelta(days=14)


@shared_task
def clean_up() -> None:
    """Delete ended deliveries of two weeks ago, rewritten URLs past their time, dead readers."""
    now = timezone.now()
    Delivery.objects.filter(created_at__lt=now - KEEP_DELIVERIES).exclude(
        state=DeliveryState.WAITING
    ).delete()
    ForwardedUrl.objects.filter(valid_until__lt=now).delete()
    DirectoryReader.objects.filter(seen_at__lt=now - timedelta(days=1)).delete()
