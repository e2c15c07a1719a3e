"""Versions and version details (version_information_endpoint)."""

from django.conf import settings
from django.http import HttpResponse

from hub.ocpi import own_paths
from hub.ocpi.configuration import Endpoint, Version, VersionDetails
from hub.ocpi.datatypes import InterfaceRole
from hub.ocpi.modules import CONFIGURATION_MODULES, FUNCTIONAL_MODULES, INTERFACES
from hub.ocpi.v2_2_1 import VERSION
from hub.routing.directory import PlatformEntry
from hub.routing.request import OcpiRequest
from hub.views import OcpiView, answer


class Versions(OcpiView):
    """GET: the versions that the hub speaks."""

    def get(self, request: OcpiRequest) -> HttpResponse:
        """A list of Version."""
        return answer([Version(VERSION, settings.BASE_URL + own_paths.DETAILS)])


class Details(OcpiView):
    """GET: the endpoints of the hub's version."""

    def get(self, request: OcpiRequest) -> HttpResponse:
        """VersionDetails, out of the one route table."""
        return answer(VersionDetails(VERSION, endpoints(request.platform)))


def endpoints(platform: PlatformEntry) -> list[Endpoint]:
    """What the hub offers to this platform.

    "Do NOT send custom moduleIDs to parties you are not 100% sure will understand": only those that
    the platform offers itself; the other interface of the same module is its way to others.
    """
    offered = [
        Endpoint(own.module, settings.BASE_URL + own.path(), InterfaceRole.SENDER)
        for own in (own_paths.CREDENTIALS, own_paths.CLIENT_INFO)
    ]
    offered += [_endpoint(module, role) for module, role in INTERFACES]
    known = {*FUNCTIONAL_MODULES, *CONFIGURATION_MODULES}
    custom = dict.fromkeys(module for module, _ in platform.endpoints if module not in known)
    return offered + [_endpoint(module, role) for module in custom for role in InterfaceRole]


def _endpoint(module: str, role: InterfaceRole) -> Endpoint:
    return Endpoint(module, settings.BASE_URL + own_paths.interface(role, module), role)
