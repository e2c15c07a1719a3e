"""URLs of the Locations module below a version; their shapes are checked by the gateway."""

from django.urls import re_path

from locations.views import LocationsReceiver, LocationsSender

urlpatterns = [
    re_path(r"^sender/locations(?:/[\s\S]*)?$", LocationsSender.as_view()),
    re_path(r"^receiver/locations/[\s\S]+$", LocationsReceiver.as_view()),
]
