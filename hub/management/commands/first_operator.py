"""The first operator account, with a password that must be changed at the first login."""

import json
from secrets import token_urlsafe
from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import CommandError
from django.db import transaction

from hub.db.leases import lock_name
from hub.management.audited import AuditedCommand
from hub.models import OneTimePassword

USERNAME = "operator"


class Command(AuditedCommand):
    help = "Create the operator account when the hub has none. Prints one line of JSON."

    def handle(self, *args: Any, **options: Any) -> None:
        """Two runners that start at once make one account."""
        with transaction.atomic():
            lock_name("first operator")
            answer = self._answer()
        self.stdout.write(json.dumps(answer))

    def _answer(self) -> dict[str, str | bool]:
        if User.objects.filter(is_superuser=True).exists():
            return {"created": False}
        if User.objects.filter(username=USERNAME).exists():
            raise CommandError(
                f"There is no superuser, and the user {USERNAME!r} is not one: "
                "make one with manage.py createsuperuser."
            )
        password = token_urlsafe(15)
        user = User.objects.create_superuser(USERNAME, password=password)
        OneTimePassword.objects.create(user=user)
        return {"created": True, "username": USERNAME, "password": password}
