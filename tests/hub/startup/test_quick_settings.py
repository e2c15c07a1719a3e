"""Settings that are read for each message (hub/startup/quick_settings.py)."""

import pytest
from django.test import override_settings

from hub.startup.quick_settings import setting
from tests.running_hub import changed_setting


def test_a_setting_is_what_it_has_been_changed_to(settings):
    before = setting("FORWARD_TIMEOUT")
    for _ in range(2):
        with changed_setting("FORWARD_TIMEOUT", 1.25):
            assert setting("FORWARD_TIMEOUT") == 1.25
            with override_settings(FORWARD_TIMEOUT=2.5):
                assert setting("FORWARD_TIMEOUT") == 2.5
            assert setting("FORWARD_TIMEOUT") == 1.25
        assert setting("FORWARD_TIMEOUT") == before
    settings.FORWARD_TIMEOUT = None
    assert setting("FORWARD_TIMEOUT") is None


def test_what_is_no_setting_is_an_error():
    with pytest.raises(AttributeError):
        setting("NO_SUCH_SETTING")
