"""The ASGI application that the web processes serve."""

import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hub.settings")
django.setup()

from hub.gateway.gateway import Gateway  # noqa: E402 - the gateway needs the loaded settings

application = Gateway()
