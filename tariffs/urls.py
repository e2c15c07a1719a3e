"""URLs of the Tariffs module below a version; their shapes are checked by the gateway."""

from django.urls import re_path

from tariffs.views import TariffsReceiver, TariffsSender

urlpatterns = [
    re_path(r"^sender/tariffs/?$", TariffsSender.as_view()),
    re_path(r"^receiver/tariffs/[\s\S]+$", TariffsReceiver.as_view()),
]
