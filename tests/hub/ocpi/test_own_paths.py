"""The hub's own URLs: one table, which all who look at URLs go by (hub/ocpi/own_paths.py)."""

import json

import pytest
from django.urls import resolve

from hub.fairness.lanes import Lane, lane_of
from hub.ocpi import own_paths
from hub.ocpi.masking import safe_path
from hub.ocpi.odd_urls import mended
from hub.openapi.document import document
from hub.urls import not_by_the_hub, nothing_here

DOCUMENT = json.loads(document("https://hub.example"))


@pytest.mark.parametrize("own", own_paths.OWN_PATHS, ids=lambda own: own.name)
def test_each_is_served_described_and_kept_out_of_the_record(own):
    path = own.path(*["It-0"] * own.shape.count("{"))
    assert path.count("/") == own.template.count("/")
    assert own.template in DOCUMENT["paths"]
    # What was given out in place of a party's is forwarded: the gateway has no view for it.
    is_forwarded = own is own_paths.VIA
    assert (resolve(path).func in {nothing_here, not_by_the_hub}) == is_forwarded
    assert lane_of("POST", path) not in {Lane.VERSIONS, Lane.HUB}
    assert mended(path.replace(own.name, own.name.upper(), 1))[1] == "letter-case"
    assert own_paths.at(f"{path}/")[0] is own_paths.NAMES[own.name.partition("/")[0]]
    kept = safe_path(path, None)
    assert kept != "…"
    assert own.name in kept
    assert "It-0" not in kept


def test_what_is_none_of_them_is_none():
    for path in ("/ocpi/versions", "/ocpi/2.2.1", "/ocpi/2.1.1/via/It-0", "/ocpi/2.2.1/viable/x"):
        assert own_paths.at(path)[0] is None
