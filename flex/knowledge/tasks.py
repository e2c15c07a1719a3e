"""By the clock: what accepted profiles have done (SCALE D2.3, 11.4)."""

from celery import shared_task

from flex.knowledge import effect


@shared_task(name="knowledge.judge_due")
def judge_due() -> None:
    """Judge the profiles that are due. Safe to run twice."""
    effect.judge_due()
