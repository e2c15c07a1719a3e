"""Pages of the console that are not tables of django.contrib.admin."""

from django.contrib import admin
from django.urls import path

from hub.console import completeness, dashboard, export, joining, locations_map, messages, owed
from hub.console.access import factor_check, factor_pages, first_page, sign_on

urlpatterns = [
    path("", admin.site.admin_view(first_page.page)),
    path("overview/", admin.site.admin_view(dashboard.live), name="overview-live"),
    path("messages/", admin.site.admin_view(messages.page), name="messages"),
    path("messages/exchange/", admin.site.admin_view(messages.exchange), name="exchange"),
    path("joining/<int:platform_id>/path/", admin.site.admin_view(joining.page), name="joining"),
    path(
        "joining/<int:platform_id>/steps/",
        admin.site.admin_view(joining.live),
        name="joining-live",
    ),
    path("export/", admin.site.admin_view(export.page), name="export"),
    path("owed/", admin.site.admin_view(owed.page), name="owed"),
    path("map/", admin.site.admin_view(locations_map.page), name="locations-map"),
    path(
        "what-locations-lack/",
        admin.site.admin_view(completeness.page),
        name="what-locations-lack",
    ),
    path("api/messages", messages.api, name="api-messages"),
    path("second-factor/", admin.site.admin_view(factor_pages.page), name="second-factor"),
    path("second-factor/app/", admin.site.admin_view(factor_pages.app), name="second-factor-app"),
    path(
        "second-factor/codes/",
        admin.site.admin_view(factor_pages.codes),
        name="second-factor-codes",
    ),
    path(
        "second-factor/key/", admin.site.admin_view(factor_pages.new_key), name="second-factor-key"
    ),
    path(
        "second-factor/remove/",
        admin.site.admin_view(factor_pages.remove),
        name="second-factor-remove",
    ),
    path("single-sign-on/", sign_on.begin, name="single-sign-on"),
    path("single-sign-on/return/", sign_on.come_back, name="single-sign-on-return"),
    path("second-factor/check/", factor_check.page, name="second-factor-check"),
    path("second-factor/check/key/", factor_check.key, name="second-factor-check-key"),
]
