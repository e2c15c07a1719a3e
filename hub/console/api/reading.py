"""What is read beside the tables: messages, one exchange, what is owed, backups, who the key is."""

from typing import Any

import msgspec
from django.http import HttpRequest, HttpResponse

from hub.backup import history
from hub.console.access import roles, scope
from hub.console.api.base import AdminView
from hub.console.api.keys import Caller
from hub.console.api.problems import invalid, not_found
from hub.monitoring import exchange_trace
from hub.outbox import owed
from hub.record.models import Message
from hub.record.search import Criteria, WrongCriterion, search
from hub.views import answer_json


class Me(AdminView):
    """The key itself."""

    def get(self, caller: Caller, request: HttpRequest) -> HttpResponse:
        """Its role, its parties, its end."""
        key = caller.key
        return answer_json(
            {
                "prefix": key.prefix,
                "name": key.name,
                "role": key.role,
                "parties": key.parties,
                "expires_at": key.expires_at,
            }
        )


class Messages(AdminView):
    """The message record."""

    def get(self, caller: Caller, request: HttpRequest) -> HttpResponse:
        """By the criteria of the console's page; `before` of an answer asks for more."""
        caller.needs(roles.MESSAGES)
        try:
            found = search(Criteria.read(request.GET.dict(), scope.only(caller)))
        except WrongCriterion as error:
            raise invalid(str(error)) from error
        more = {"before": found.before} if found.before else {}
        return answer_json({"rows": [_told(one) for one in found.messages], **more})


def _told(message: Message) -> dict[str, Any]:
    return {field.attname: getattr(message, field.attname) for field in Message._meta.fields}


class Exchange(AdminView):
    """One exchange, step by step."""

    def get(self, caller: Caller, request: HttpRequest, correlation_id: str) -> HttpResponse:
        """As the console draws it."""
        caller.needs(roles.MESSAGES)
        found = exchange_trace.of(correlation_id, scope.only(caller))
        if found is None:
            raise not_found("No message of this exchange is recorded.")
        return answer_json(found.as_dict())


class Owed(AdminView):
    """What is owed, by receiver and module."""

    def get(self, caller: Caller, request: HttpRequest) -> HttpResponse:
        """Where something has waited longest comes first."""
        caller.needs("hub.view_stalecopy")
        return answer_json({"rows": [msgspec.to_builtins(lane) for lane in owed.lanes(None)]})


class Backups(AdminView):
    """What became of backups."""

    def get(self, caller: Caller, request: HttpRequest) -> HttpResponse:
        """The last good one, and what went wrong since."""
        caller.needs(roles.OVERVIEW)
        last = history.last()
        return answer_json({**msgspec.to_builtins(last), "is_too_old": last.is_too_old})
