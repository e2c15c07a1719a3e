"""Pages of the console that are not tables of django.contrib.admin."""

from django.contrib import admin
from django.urls import path

from hub.console import dashboard, messages, owed
from hub.console.access import first_page

urlpatterns = [
    path("", admin.site.admin_view(first_page.page)),
    path("overview/", admin.site.admin_view(dashboard.live), name="overview-live"),
    path("messages/", admin.site.admin_view(messages.page), name="messages"),
    path("messages/exchange/", admin.site.admin_view(messages.exchange), name="exchange"),
    path("owed/", admin.site.admin_view(owed.page), name="owed"),
    path("api/messages", messages.api, name="api-messages"),
]
