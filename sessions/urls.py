"""URLs of the Sessions module below /ocpi/2.2.1/ that the hub answers itself."""

from django.urls import re_path

from sessions.views import SessionsSender

urlpatterns = [re_path(r"^sender/sessions/?$", SessionsSender.as_view())]
