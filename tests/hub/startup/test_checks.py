"""Wrong setups are told at start-up (hub/startup/checks.py)."""

from ipaddress import ip_network

import pytest

from hub.startup.checks import check_setup


def told(settings, **changes) -> set[str]:
    """The ids of what a setup is told."""
    good = {
        "IS_TRIAL": False,
        "BASE_URL": "https://hub.example",
        "TRUSTED_PROXIES": [ip_network("127.0.0.1")],
    }
    for name, value in (good | changes).items():
        setattr(settings, name, value)
    return {str(message.id) for message in check_setup(None)}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, set()),
        ({"HUB_PARTY_ID": "TOOLONG"}, {"flexhub.E001"}),
        ({"BASE_URL": "http://hub.example"}, {"flexhub.W001"}),
        ({"BASE_URL": f"https://{'h' * 250}"}, {"flexhub.E002"}),
        ({"BYTES_PER_PLATFORM": 39_000_000}, {"flexhub.E003"}),
        ({"TRUSTED_PROXIES": []}, {"flexhub.W002"}),
        ({"TRUSTED_PROXIES": [], "IS_TRIAL": True, "BASE_URL": "http://127.0.0.1:8000"}, set()),
    ],
)
def test_what_is_wrong_is_told(settings, changes, expected):
    assert told(settings, **changes) == expected
