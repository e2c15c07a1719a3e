"""URLs of the Sessions module below a version that the hub answers itself."""

from django.urls import re_path

from sessions.views import SessionsSender

urlpatterns = [re_path(r"^sender/sessions/?$", SessionsSender.as_view())]
