"""Versions and version details of a party (version_information_endpoint)."""

from collections import Counter
from collections.abc import Iterator
from typing import Any
from urllib.parse import urljoin, urlsplit

from hub.ocpi.datatypes import InterfaceRole
from hub.ocpi.modules import CONFIGURATION_MODULES, FUNCTIONAL_MODULES
from hub.ocpi.v2_2_1 import VERSION
from party.check.findings import Finding, Rule
from party.check.probe import Call, Probe

CHAPTER = "version_information_endpoint"
LIST = Rule(
    "versions.list",
    CHAPTER,
    "GET versions gives a list of objects with version and url",
    "Answer GET versions with status_code 1000 and data: [{version, url}, ..].",
)
OURS = Rule(
    f"versions.{VERSION}",
    CHAPTER,
    f"{VERSION} is among the versions, once",
    f'List {{"version": "{VERSION}", "url": ..}} exactly once.',
)
DETAILS = Rule(
    "versions.details",
    CHAPTER,
    "Version details have version and endpoints with identifier, role and url",
    "Answer with data: {version, endpoints: [{identifier, role, url}, ..]}; role is SENDER or "
    "RECEIVER (mind the capitals).",
)
CREDENTIALS = Rule(
    "versions.credentials",
    CHAPTER,
    "The version details name the credentials endpoint",
    'Add {"identifier": "credentials", "role": "SENDER", "url": ..}: without it nobody can '
    "register "
    "or rotate tokens.",
)
ONCE = Rule(
    "versions.once",
    CHAPTER,
    "Each identifier and role is there once",
    "Name one URL for each identifier and role; which of two is meant nobody can know.",
)
KNOWN = Rule(
    "versions.identifiers",
    CHAPTER,
    "Identifiers are ModuleIDs as the text spells them",
    "Write the ModuleID as in the text, in lower case: hubclientinfo, chargingprofiles. A custom "
    "module carries a country code and party id, such as nltnm-tokens.",
)
SCHEME = Rule(
    "versions.scheme",
    CHAPTER,
    "URLs are absolute, with the scheme under which the party is reached",
    "Build URLs from your public base URL (a setting, or X-Forwarded-Proto and Host of "
    "your proxy), "
    "not from a hard-coded scheme.",
)
RULES = (LIST, OURS, DETAILS, CREDENTIALS, ONCE, KNOWN, SCHEME)


def check(probe: Probe) -> Iterator[Finding]:
    """Both endpoints; what they name is used by all other chapters."""
    versions = probe.get(probe.target.versions_url, "versions")
    listed = versions.data if isinstance(versions.data, list) else []
    entries = [entry for entry in listed if isinstance(entry, dict)]
    is_list = bool(entries) and all(_has_texts(entry, "version", "url") for entry in entries)
    yield LIST.judge(versions.is_success and is_list, versions)
    if not (versions.is_success and is_list):
        return
    urls = [str(entry["url"]) for entry in entries if entry["version"] == VERSION]
    offered = ", ".join(str(entry["version"]) for entry in entries)
    yield OURS.judge(len(urls) == 1, versions, f"versions: {offered}")
    if not urls:
        return
    details = details_of(probe, urls[0])
    endpoints = endpoints_of(details)
    if details.is_success and endpoints:
        yield from _check_endpoints(details, endpoints)
    else:
        yield DETAILS.judge(False, details)
    wrong = [url for url in [*urls, *(str(e.get("url")) for e in endpoints)] if _is_odd(probe, url)]
    yield SCHEME.judge(
        not wrong,
        versions if wrong[:1] == urls else details,
        f"{len(wrong)} URLs, such as {wrong[0]}" if wrong else "",
    )


def details_url(probe: Probe) -> str | None:
    """What GET versions named for the hub's version."""
    listed = probe.get(probe.target.versions_url, "versions").data
    entries = listed if isinstance(listed, list) else []
    found = (e.get("url") for e in entries if isinstance(e, dict) and e.get("version") == VERSION)
    url = next(found, None)
    return url if isinstance(url, str) and not _is_odd(probe, url) else None


def details_of(probe: Probe, url: str) -> Call:
    """GET details; with the scheme of the versions URL where the named one cannot be called."""
    call = probe.get(url, "versions", is_single=True)
    if call.status is None and _is_odd(probe, url):
        scheme = urlsplit(probe.target.versions_url).scheme
        call = probe.get(urlsplit(url)._replace(scheme=scheme).geturl(), "versions", is_single=True)
    return call


def endpoints_by_role(probe: Probe) -> dict[tuple[str, InterfaceRole], str]:
    """The interfaces that the details name, with the scheme under which the party is reached.

    For who has not registered, and so has no endpoints yet.
    """
    versions = probe.get(probe.target.versions_url, "versions")
    listed = versions.data if isinstance(versions.data, list) else []
    urls = [e.get("url") for e in listed if isinstance(e, dict) and e.get("version") == VERSION]
    if not urls or not isinstance(urls[0], str):
        return {}
    found: dict[tuple[str, InterfaceRole], str] = {}
    for entry in endpoints_of(details_of(probe, urls[0])):
        name, role, url = entry.get("identifier"), entry.get("role"), entry.get("url")
        if not isinstance(name, str) or not isinstance(url, str):
            continue
        if name == "credentials":
            role = InterfaceRole.SENDER
        if role in list(InterfaceRole):
            found.setdefault((name, InterfaceRole(role)), _as_reached(probe, url))
    return found


def _as_reached(probe: Probe, url: str) -> str:
    base, other = urlsplit(probe.target.versions_url), urlsplit(url)
    if not other.netloc:
        return urljoin(probe.target.versions_url, url)
    is_odd = other.hostname == base.hostname and other.scheme != base.scheme
    return other._replace(scheme=base.scheme).geturl() if is_odd else url


def endpoints_of(details: Call) -> list[dict[str, Any]]:
    """What the details name, as far as it can be read."""
    found = _object(details).get("endpoints")
    return [entry for entry in found if isinstance(entry, dict)] if isinstance(found, list) else []


def _object(details: Call) -> dict[str, Any]:
    """`data`, also as a list of one, which is a rule of its own."""
    data = details.data[0] if isinstance(details.data, list) and details.data else details.data
    return data if isinstance(data, dict) else {}


def _check_endpoints(details: Call, endpoints: list[dict[str, Any]]) -> Iterator[Finding]:
    roles = {role.value for role in InterfaceRole}
    bad = [
        str(entry.get("identifier"))
        for entry in endpoints
        if not _has_texts(entry, "identifier", "url")
        or (entry.get("role") not in roles and entry["identifier"] != "credentials")
    ]
    is_right = _object(details).get("version") == VERSION and bool(endpoints) and not bad
    yield DETAILS.judge(is_right, details, f"wrong: {', '.join(bad)}" if bad else "")
    names = [str(entry.get("identifier")) for entry in endpoints]
    yield CREDENTIALS.judge("credentials" in names, details)
    pairs = Counter(
        (name, "" if name == "credentials" else entry.get("role"))
        for name, entry in zip(names, endpoints, strict=True)
    )
    twice = [f"{name} {role}".strip() for (name, role), count in pairs.items() if count > 1]
    yield ONCE.judge(not twice, details, f"more than once: {', '.join(twice)}" if twice else "")
    known = {*FUNCTIONAL_MODULES, *CONFIGURATION_MODULES}
    odd = [name for name in names if name not in known and "-" not in name]
    yield KNOWN.judge(not odd, details, f"unknown: {', '.join(odd)}" if odd else "")


def _has_texts(entry: dict[str, Any], *names: str) -> bool:
    return all(isinstance(entry.get(name), str) and entry[name] for name in names)


def _is_odd(probe: Probe, url: str) -> bool:
    """Relative, or another scheme than that under which the party is really reached."""
    base, other = urlsplit(probe.target.versions_url), urlsplit(url)
    if not other.netloc:
        return True
    return other.hostname == base.hostname and other.scheme != base.scheme
