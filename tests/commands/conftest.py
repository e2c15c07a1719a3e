"""The strangers of tests/hub, for this folder too."""

from tests.hub.conftest import _says_yes, cpo, emsp

__all__ = ("_says_yes", "cpo", "emsp")
