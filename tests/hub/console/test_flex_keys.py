"""Keys of the flex API and sites at the console: a key is shown once, a site is its CPO's."""

import re

import pytest
from django.urls import reverse

from flex.api import keys
from flex.api.models import ApiKey, Site, Wish
from flex.sites import keeping
from hub.ocpi.party import PartyId
from hub.views import Problem
from sessions.models import Session
from tests.cases import case
from tests.hub.console import rows

ADD_KEY = reverse("admin:flex_api_apikey_add")
ADD_SITE = reverse("admin:flex_api_site_add")


def test_a_key_is_shown_once_and_revoked(console):
    rows.platform("eMSP", ("DE", "MSP", "EMSP"))
    form = {"party_": "DE-MSP", "opens": ["EMSP", "FSP"], "name": "the app"}
    answer = console.post(ADD_KEY, form)
    assert "no-store" in answer["Cache-Control"]
    found = re.search(r'<code id="key">([^<]+)</code>', answer.content.decode())
    assert found is not None
    secret = found[1]
    key = ApiKey.objects.get()
    assert (str(key.party), key.uses, key.made_by) == ("DE-MSP", ["EMSP", "FSP"], "operator")
    assert keys.authenticate(f"Bearer {secret}").key == key
    for page in ("changelist", "change"):
        arguments = [key.pk] if page == "change" else []
        address = reverse(f"admin:flex_api_apikey_{page}", args=arguments)
        assert secret not in console.get(address).content.decode()
    with case("not without a party"):
        assert "This field is required" in console.post(ADD_KEY, {"name": "x"}).content.decode()
    with case("not by a link"):
        address = reverse("admin:flex_api_apikey_revoke", args=[key.pk])
        console.get(address)
        assert ApiKey.objects.get().revoked_at is None
    console.post(address, {"_form_submitted": "True"})
    with pytest.raises(Problem, match="was revoked"):
        keys.authenticate(f"Bearer {secret}")
    assert ApiKey.objects.get().revoked_at is not None


def test_an_operator_sets_the_site_of_a_cpo(console):
    rows.platform("CPO", ("NL", "CPO", "CPO"))
    form = {
        "cpo": "NL-CPO",
        "name": "Garage",
        "members_": "LOC1\nLOC2 EVSE7\n",
        "watts": "2026-03-01T06:00:00Z 50000\n2026-03-01T00:00:00Z 20000",
        "amperes": "",
    }
    console.post(ADD_SITE, form)
    site = Site.objects.get()
    assert (site.owner, site.name) == (PartyId("NL", "CPO"), "Garage")
    assert {str(one) for one in site.members.all()} == {"LOC1", "LOC2 EVSE7"}
    [limits] = keeping.limits_of(site)
    assert (limits.unit, [limit for _, limit in limits.steps]) == ("W", [20_000, 50_000])
    change = reverse("admin:flex_api_site_change", args=[site.pk])
    html = console.get(change).content.decode()
    assert "LOC2 EVSE7" in html
    assert "2026-03-01T06:00:00Z 50000" in html
    with case("what is no limit"):
        for wrong in ("tomorrow 5", "2026-03-01T00:00:00Z much", "2026-03-01T00:00:00Z -1"):
            console.post(change, form | {"watts": wrong})
            assert keeping.limits_of(Site.objects.get()) == [limits]
    with case("twice"):
        assert "has a site of this name" in console.post(ADD_SITE, form).content.decode()
    with case("changed"):
        console.post(change, form | {"watts": "", "members_": "LOC1", "rejects_breaches": "on"})
        site = Site.objects.get()
        assert (keeping.limits_of(site), site.members.count()) == ([], 1)
        assert site.rejects_breaches


def test_a_session_shows_its_course_and_what_it_cost(console):
    rows.fill()
    kept = Session.objects.get(session_id="S-00000")
    Wish.objects.create(session=kept, wishes={"target_soc": 80})
    address = reverse("admin:ocpi_sessions_session_change", args=[kept.pk])
    html = console.get(address).content.decode()
    for text in ("Over time", "Cost and saving", "target_soc", "saved against"):
        assert text in html, text
