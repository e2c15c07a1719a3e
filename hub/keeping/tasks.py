"""Forgetting what nobody needs any more, every hour."""

from datetime import timedelta

from celery import shared_task
from django.core.management import call_command
from django.utils import timezone

from cdrs.models import Posting
from flex import extensions
from hub.deliveries import resend
from hub.keeping import retention
from hub.keeping.recount import count_anew
from hub.models import DirectoryReader, ForwardedUrl, locking
from hub.record import partitions
from hub.record.models import BodyRecording
from locations import outlines


@shared_task(name="keeping.clean_up")
@locking.taking_long()
def clean_up() -> None:
    """Delete what is past its time: stored objects, messages, rewritten URLs, logins, readers."""
    now = timezone.now()
    retention.forget()
    ForwardedUrl.objects.filter(valid_until__lt=now).delete()
    DirectoryReader.objects.filter(seen_at__lt=now - timedelta(days=1)).delete()
    Posting.objects.filter(lease_until__lt=now - timedelta(days=1)).delete()
    BodyRecording.objects.filter(until__lt=now).delete()
    extensions.forget_gone()
    partitions.make_ahead()
    partitions.drop_old()
    call_command("clearsessions")


@shared_task(name="keeping.keep_within_quota")
def keep_within_quota() -> None:
    """Keep no more bodies of given up messages than each receiver may have."""
    resend.keep_within_quota()


@shared_task(name="keeping.recount")
@locking.taking_long()
def recount() -> None:
    """Count what each party has, against its quotas; read what lists need of Locations."""
    count_anew()
    outlines.bring_up_to_date()
