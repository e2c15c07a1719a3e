"""Workers write what a job has noted when it ends; web processes do so with their house-keeping."""

from celery.signals import task_postrun

from hub.deviations import noting
from hub.models import quotas


@task_postrun.connect
def _write(**_: object) -> None:
    noting.flush()
    quotas.flush()
