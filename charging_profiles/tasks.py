"""Jobs of the ChargingProfiles module: carry a command to the CPO, pick up what was left behind."""

import logging
import threading
import time
from collections import defaultdict
from http import HTTPStatus
from urllib.parse import quote

import msgspec
from celery import shared_task
from django.conf import settings
from django.utils import timezone

from charging_profiles import authority
from charging_profiles.models import CommandState, ProfileCommand
from charging_profiles.objects import ChargingProfileResponseType
from hub import outbound, outbox
from hub.directory import holder
from hub.handshake import lenient
from hub.leases import renewed
from hub.ocpi import envelope, headers
from hub.ocpi.datatypes import InterfaceRole
from hub.ocpi.errors import ConnectionProblem, ForwardTimeout, HubError, InvalidParameters
from hub.record.calls import noted
from hub.record.note import Kind

logger = logging.getLogger(__name__)
# Between two attempts at a CPO that refuses connections.
PAUSE = 0.25
# A CPO that hangs must not take all threads of the worker from the others.
_calls: dict[int, threading.BoundedSemaphore] = defaultdict(
    lambda: threading.BoundedSemaphore(settings.PROFILE_CALLS_PER_RECEIVER)
)


@shared_task
def send_command(pk: int) -> None:
    """Carry one command to its CPO and record the answer. Safe to run twice."""
    command = ProfileCommand.objects.filter(pk=pk).first()
    if command is None:
        return
    places = _calls[command.cpo_platform_id]
    if not places.acquire(blocking=False):
        return  # The sweep queues it again while its time lasts.
    try:
        claimed = ProfileCommand.claim(pk)
        if claimed is not None:
            with renewed(claimed):
                _send(claimed)
    finally:
        places.release()


def _send(command: ProfileCommand) -> None:
    try:
        response = _call(command)
    except ForwardTimeout as error:
        command.record_answer(CommandState.TIMED_OUT, None, b"", None, error.message)
        return
    except HubError as error:
        command.record_answer(CommandState.UNREACHABLE, None, b"", None, error.message)
        return
    answer = _read(response)
    state = CommandState.REFUSED
    if answer is not None and answer.result == ChargingProfileResponseType.ACCEPTED:
        state = CommandState.ACCEPTED
        if command.method == "PUT" and command.session is not None:
            authority.current().put_accepted(command.session, command.fsp)
    body, problem = response.body, ""
    if not envelope.is_object(body):
        problem = f"{command.cpo} answered HTTP {response.status} with something that is not OCPI."
        body = envelope.failure(HubError(problem))
    timeout = answer.timeout if answer else None
    command.record_answer(state, response.status, body, timeout, problem)


def _call(command: ProfileCommand) -> outbound.Response:
    """One call, repeated while the CPO certainly did not get it and the sender still waits."""
    platform = holder.current().platforms.get(command.cpo_platform_id)
    if platform is None or not platform.is_registered:
        raise ConnectionProblem(f"{command.cpo} is not connected.")
    sent = {
        "Authorization": platform.authorization,
        headers.REQUEST_ID: headers.new_id(),
        headers.CORRELATION_ID: command.correlation_id,
        headers.FROM_COUNTRY_CODE: command.fsp_country_code,
        headers.FROM_PARTY_ID: command.fsp_party_id,
        headers.TO_COUNTRY_CODE: command.cpo_country_code,
        headers.TO_PARTY_ID: command.cpo_party_id,
    }
    body = bytes(command.body)
    if body:
        sent["Content-Type"] = "application/json"
    # Refused connections are tried again for at most as long as a new one would take.
    give_up = time.monotonic() + settings.CONNECT_TIMEOUT
    while True:
        left = (command.answer_by - timezone.now()).total_seconds()
        if left <= 0:
            raise ForwardTimeout(f"{command.cpo} did not answer in time.")
        try:
            with noted(
                Kind.COMMAND,
                command.method,
                sent,
                platform,
                module="chargingprofiles",
                role=InterfaceRole.RECEIVER,
                rest=quote(command.session_id_sent, safe=""),
                body=body,
            ) as call:
                response = call.answered(
                    outbound.call(command.method, command.path, sent, body, seconds=left)
                )
        except outbound.NotArrived:
            if time.monotonic() + PAUSE > give_up:
                outbox.wake("hub.still_alive.check_platform", command.cpo_platform_id)
                raise
            time.sleep(PAUSE)
        else:
            if response.status == HTTPStatus.UNAUTHORIZED:
                raise ConnectionProblem(f"{command.cpo} refuses the hub's credentials.")
            return response


class _Answered(msgspec.Struct):
    """ChargingProfileResponse as real CPOs send it: some leave out how long they need."""

    result: ChargingProfileResponseType
    timeout: float | None = None


def _read(response: outbound.Response) -> _Answered | None:
    """The ChargingProfileResponse, also out of a list of one; None when there is none."""
    answer = envelope.read_answer(response.body)
    if response.status >= 300 or not answer.is_success:
        return None
    try:
        return lenient(bytes(answer.data), _Answered, InvalidParameters)
    except InvalidParameters as error:
        logger.warning("answer to a profile command: %s", error.message)
        return None


@shared_task
def sweep() -> None:
    """Queue again what a dead worker or a wiped broker dropped; end what waited long enough."""
    for pk in ProfileCommand.left_behind():
        outbox.wake("charging_profiles.tasks.send_command", pk)
    ProfileCommand.end_overdue()
