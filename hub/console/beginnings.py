"""The words of the menu as the words of its pages, and how what a page lists begins.

A library of templates: `{% load console %}`.
"""

from typing import Any, Final

from django import template
from django.urls import reverse

from hub.console import sidebar

register: Final = template.Library()

# By table: what brings its first row.
BEGINNINGS: Final = {
    "access_adminkey": "Make one for each program that works with the admin API.",
    "access_auditentry": "Each act at the console, by a key or by a command is written here.",
    "alerts_alert": "One begins when what a rule watches comes true. See Alert rules.",
    "alerts_rule": "Add what is to be watched, and from when on somebody is to be told.",
    "alerts_target": "Add an e-mail address or a webhook: whom alerts are told.",
    "auth_user": "Add an account for each person, and give it a role.",
    "conformance_conformancecheck": "Press Check on the page of a party that is connected.",
    "deviations_deviationcount": "Messages that differ from the text of OCPI are counted here.",
    "flex_api_apikey": "Add one for the back-end of an FSP, eMSP or CPO; it is shown once.",
    "flex_api_prepared": "An eMSP gives them by the flex API before a session has begun.",
    "flex_api_site": "Add one, or let its CPO put it by the flex API.",
    "flex_flexagreement": "Add who may steer the sessions of which CPO or eMSP.",
    "flex_flexexclusion": "Add whom a CPO does not let act at its Locations.",
    "flex_fspassignment": "One is made for each session: by agreement, or the first profile.",
    "flex_knowledge_profileeffect": "One is judged once a profile was accepted and energy is told.",
    "flex_life_hubcommand": "The hub sends one to release a session, or when its FSP changes.",
    "flex_life_nottaken": "A CPO that refuses a method, or takes it without effect, gets a row.",
    "flex_life_spacing": "A CPO that answers TOO_OFTEN gets a row, with the time it wants.",
    "flex_preferencecopy": "An eMSP sends them with PUT ChargingPreferences of a session.",
    "flex_switching_cposlots": "Learned of a CPO when the FSP of one of its sessions changes.",
    "flex_switching_fspswitch": "One begins when a session that is steered gets another FSP.",
    "hub_agreement": "Add one where a pair of parties is an exception to the rule above.",
    "hub_delivery": "Messages that a receiver could not take wait here, until it can.",
    "hub_erasure": "Add one when a driver asks to be forgotten.",
    "hub_party": "Parties come with their platform: invite one (Platforms).",
    "hub_platform": "Invite a platform: its token is shown once, and its way in is followed.",
    "hub_stalecopy": "What a receiver has not been told, or has refused, stands here.",
    "hub_usage": "Counted every 15 minutes, for each party that has something here.",
    "ocpi_cdrs_cdr": "They come when a CPO sends POST CDR and its eMSP takes it.",
    "ocpi_charging_profiles_profilecommand": "They come when an FSP sends PUT ChargingProfile.",
    "ocpi_locations_location": "They come when a CPO sends PUT Location, or its list is pulled.",
    "ocpi_sessions_session": "They come when a CPO sends PUT Session, or its list is pulled.",
    "ocpi_tariffs_tariff": "They come when a CPO sends PUT Tariff, or its list is pulled.",
    "ocpi_tokens_token": "They come when an eMSP sends PUT Token, or its list is pulled.",
    "record_bodyrecording": "Add one to keep the bodies of a party's messages for a while.",
}


@register.simple_tag
def beginning(options: Any) -> str:
    """What brings the first row of a table."""
    return BEGINNINGS.get(options.db_table, "")


@register.simple_tag
def named_in_menu(options: Any) -> str:
    """The name of a table's page, as the menu has it."""
    return _lines().get(_listed(options), ("", str(options.verbose_name_plural)))[1]


@register.simple_tag
def as_in_menu(parts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The way to a page, by the menu's group and line; of other pages as it came."""
    lines = _lines()
    for number, part in enumerate(parts):
        if found := lines.get(str(part.get("link", ""))):
            way = [{"title": title} for title in found[:1] if title and title != found[1]]
            return [*way, {**part, "title": found[1]}, *parts[number + 1 :]]
    return parts


def _listed(options: Any) -> str:
    return reverse(f"admin:{options.app_label}_{options.model_name}_changelist")


def _lines() -> dict[str, tuple[str, str]]:
    """Group and line of the menu, by where it leads."""
    groups: Any = sidebar.SIDEBAR["navigation"]
    return {
        str(item["link"]): (group.get("title", ""), item["title"])
        for group in groups
        for item in group["items"]
    }
