"""The console's sidebar and look: django-unfold's settings beside the hub's own names."""

from typing import Any

from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import reverse_lazy
from django.utils.functional import lazy


def _page(title: str, icon: str, name: str, permission: str) -> dict[str, Any]:
    """A line of the menu; who may not see the page, does not see the line."""

    def may(request: HttpRequest) -> bool:
        return bool(request.user.has_perm(permission))

    return {"title": title, "icon": icon, "link": reverse_lazy(name), "permission": may}


def _table(title: str, icon: str, model: str) -> dict[str, Any]:
    app, _, name = model.rpartition("_")
    return _page(title, icon, f"admin:{model}_changelist", f"{app}.view_{name}")


ACCOUNT = {
    "navigation": [{"title": "Second factor", "link": reverse_lazy("second-factor")}],
}
SIDEBAR = {
    "show_search": False,
    "show_all_applications": False,
    "navigation": [
        {"items": [_page("Overview", "monitoring", "admin:index", "hub.view_overview")]},
        {
            "title": "Alerts",
            "items": [
                _table("Alerts", "notifications_active", "alerts_alert"),
                _table("Alert rules", "rule_settings", "alerts_rule"),
                _table("Alert targets", "forward_to_inbox", "alerts_target"),
            ],
        },
        {
            "title": "Network",
            "items": [
                _table("Platforms", "hub", "hub_platform"),
                _table("Parties", "groups", "hub_party"),
                _table("Agreements", "handshake", "hub_agreement"),
                _page("What is owed", "outbox", "owed", "hub.view_stalecopy"),
                _table("Stale copies", "sync_problem", "hub_stalecopy"),
                _table("Deliveries", "mail", "hub_delivery"),
                _table("Quotas", "data_usage", "hub_usage"),
                _table("Conformance", "fact_check", "conformance_conformancecheck"),
                _table("Deviations", "rule", "deviations_deviationcount"),
            ],
        },
        {
            "title": "Record",
            "items": [
                _page("Messages", "forum", "messages", "record.view_message"),
                _table("Bodies kept", "visibility", "record_bodyrecording"),
            ],
        },
        {
            "title": "Charging",
            "items": [
                _table("Sessions", "ev_station", "ocpi_sessions_session"),
                _table("Profile commands", "bolt", "ocpi_charging_profiles_profilecommand"),
                _table("Preferences", "schedule", "flex_preferencecopy"),
            ],
        },
        {
            "title": "Stored",
            "items": [
                _table("Locations", "location_on", "ocpi_locations_location"),
                _page("Map of Locations", "map", "locations-map", "ocpi_locations.view_location"),
                _page(
                    "What Locations lack",
                    "checklist",
                    "what-locations-lack",
                    "ocpi_locations.view_location",
                ),
                _table("Tariffs", "sell", "ocpi_tariffs_tariff"),
                _table("Tokens", "contactless", "ocpi_tokens_token"),
                _table("CDRs", "receipt_long", "ocpi_cdrs_cdr"),
            ],
        },
        {
            "title": "Flexibility",
            "items": [
                _table("Flexibility agreements", "contract", "flex_flexagreement"),
                _table("Exclusions by CPOs", "block", "flex_flexexclusion"),
                _table("Sites", "electrical_services", "flex_api_site"),
                _table("Prepared preferences", "pending_actions", "flex_api_prepared"),
                _table("FSP assignments", "swap_horiz", "flex_fspassignment"),
                _table("Switches of FSP", "published_with_changes", "flex_switching_fspswitch"),
                _table("Profiles that CPOs keep", "layers", "flex_switching_cposlots"),
                _table("Commands of the hub", "settings_remote", "flex_life_hubcommand"),
                _table("Spacings of CPOs", "timer", "flex_life_spacing"),
                _table("Methods not taken", "block", "flex_life_nottaken"),
                _table("Effects of profiles", "query_stats", "flex_knowledge_profileeffect"),
            ],
        },
        {
            "title": "Access",
            "items": [
                _table("Keys of the flex API", "key", "flex_api_apikey"),
                _table("Keys of the admin API", "vpn_key", "access_adminkey"),
                _table("Operators", "badge", "auth_user"),
                _table("Erasures", "person_off", "hub_erasure"),
                _table("Audit trail", "history", "access_auditentry"),
            ],
        },
    ],
}
# Teal, by unfold's names of shades; from 600 on dark enough for white letters, and on white.
COLORS = {
    "primary": {
        "50": "oklch(98.4% .014 180.72)",
        "100": "oklch(95.3% .051 180.801)",
        "200": "oklch(91% .096 180.426)",
        "300": "oklch(85.5% .138 181.071)",
        "400": "oklch(77.7% .152 181.912)",
        "500": "oklch(70.4% .14 182.503)",
        "600": "oklch(51.1% .096 186.391)",
        "700": "oklch(43.7% .078 188.216)",
        "800": "oklch(38.6% .063 188.416)",
        "900": "oklch(33% .054 190.4)",
        "950": "oklch(27.7% .046 192.524)",
    }
}
# Our own files; their addresses are known only when Django is set up.
_static = lazy(static, str)
STYLES = [_static("hub/console.css")]
FAVICONS = [{"rel": "icon", "type": "image/svg+xml", "href": _static("hub/icon.svg")}]
