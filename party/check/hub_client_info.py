"""What a party does with ClientInfo (mod_hub_client_info, Receiver Interface)."""

from collections.abc import Iterator
from urllib.parse import urlsplit

from hub.ocpi.datatypes import InterfaceRole
from party.check.findings import Finding, Rule
from party.check.probe import Probe, below

HERE = Rule(
    "hubclientinfo.here",
    "mod_hub_client_info",
    "The hubclientinfo endpoint that the details name is there",
    "Name the URL in the version details under which the module is really served; some serve "
    ".../clientinfo/ and name .../hubclientinfo.",
)
RULES = (HERE,)


def check(probe: Probe) -> Iterator[Finding]:
    """GET of a ClientInfo that nobody has told: an envelope, whatever it says."""
    url = probe.endpoint("hubclientinfo", InterfaceRole.RECEIVER)
    if url is None:
        yield HERE.not_tried("the party offers no hubclientinfo RECEIVER, so it hears of nobody")
        return
    call = probe.call("GET", below(url, "XX", "ZZZ"), "hubclientinfo", note="there is no such")
    is_here = call.status_code is not None and call.status in {200, 404}
    where = urlsplit(url).path.rstrip("/").rpartition("/")[2]
    what = f"it is served at …/{where}, which is allowed" if where != "hubclientinfo" else ""
    if not is_here and call.status is not None and where == "hubclientinfo":
        moved = below(url.rstrip("/").removesuffix("hubclientinfo"), "clientinfo", "XX", "ZZZ")
        other = probe.call("GET", moved, "hubclientinfo", note="where some serve it")
        what = f"at …/clientinfo: {other.said}"
    yield HERE.judge(is_here, call, what)
