"""Where the hub may connect to."""

import pytest

from hub.ocpi.errors import InvalidParameters
from hub.outbound import addresses

PRIVATE = [
    "64:ff9b:1::808:808",
    "64:ff9b:1:ffff::1",
    "::8.8.8.8",
    "::ffff:10.0.0.1",
    "127.0.0.1",
    "127.255.255.254",
    "10.0.0.1",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.0.1",
    "169.254.169.254",
    "0.0.0.0",
    "100.64.0.1",
    "192.0.2.1",
    "198.18.0.1",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::1",
    "::",
    "fe80::1",
    "fe80::1%eth0",
    "fc00::1",
    "fd12:3456::1",
    "ff02::1",
    "2001:db8::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:169.254.169.254",
    "64:ff9b::7f00:1",
    "64:ff9b::a00:1",
    "2002:7f00:1::",
    "2002:a00:1::1",
    # RFC 8215: a network's own NAT64, whatever IPv4 address is in it.
    "64:ff9b:1::",
    "64:ff9b:1::7f00:1",
    "64:ff9b:1::808:808",
    "64:ff9b:1:ffff:ffff:ffff:ffff:ffff",
    # IPv4-compatible, and IPv4-translated (RFC 2765).
    "::7f00:1",
    "::10.0.0.1",
    "::1.1.1.1",
    "::2",
    "::ffff:0:10.0.0.1",
    "::ffff:0:1.1.1.1",
    # ISATAP, Teredo, and what is routed nowhere.
    "fe80::5efe:8.8.8.8",
    "2606:4700::5efe:10.0.0.1",
    "2606:4700::200:5efe:127.0.0.1",
    "2001:0:808:808::1",
    "fec0::1",
    "100::1",
    "3fff::1",
    "4000::1",
    "5f00::1",
    "2001:2::1",
    "2001:20::1",
]
PUBLIC = ["1.1.1.1", "93.184.216.34", "172.32.0.1", "2606:4700::1111", "::ffff:1.1.1.1"]
PUBLIC += ["64:ff9b::1.1.1.1", "2002:101:101::1", "2606:4700::5efe:8.8.8.8", "2a00::1"]


@pytest.mark.parametrize("address", PRIVATE)
def test_a_private_address_is_refused_unless_allowed(settings, address):
    settings.ALLOW_PRIVATE_URLS = False
    assert not addresses.is_allowed(address)
    settings.ALLOW_PRIVATE_URLS = True
    # A cloud tells its machines' secrets there: of no party ever.
    is_link_local = address.startswith("fe80") or "169.254." in address
    assert addresses.is_allowed(address) is not is_link_local


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_is_allowed(settings, address):
    settings.ALLOW_PRIVATE_URLS = False
    assert addresses.is_allowed(address)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "x",
        "/x",
        "//example.org/x",
        "ftp://example.org/",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "http://",
        "http:///x",
        "http://:80/",
        "http://user@example.org/",
        "http://user:password@example.org/",
        "http://@/",
        "http://example.org:99999/",
        "http://example.org:x/",
        "http://[::1/",
        "http://exa mple.org/",
        "http://example.org/\n",
        "http://example.org/\tx",
        "http://example.org/\x00",
        "ht\ntp://example.org/",
        " http://example.org/",
        "http://example..org/",
        "http://" + "x" * 64 + ".org/",
        "http://example.org/ü",
        "http://exämple.org/",
        "http://example.org\\x/",
    ],
)
def test_what_nobody_could_call_is_2001_and_named(settings, url):
    settings.ALLOW_PRIVATE_URLS = settings.ALLOW_HTTP_URLS = True
    with pytest.raises(InvalidParameters, match="The thing"):
        addresses.check_url(url, "The thing")


@pytest.mark.parametrize(
    "url", ["http://1.1.1.1/x?y=z#f", "https://1.1.1.1:8443", "HTTP://1.1.1.1/"]
)
def test_an_absolute_http_url_is_taken(settings, url):
    settings.ALLOW_PRIVATE_URLS, settings.ALLOW_HTTP_URLS = False, True
    addresses.check_url(url, "The thing")


def test_https_is_demanded_where_http_is_not_allowed(settings):
    settings.ALLOW_PRIVATE_URLS, settings.ALLOW_HTTP_URLS = False, False
    addresses.check_url("https://1.1.1.1/", "The thing")
    with pytest.raises(InvalidParameters, match="https"):
        addresses.check_url("http://1.1.1.1/", "The thing")


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "[::1]", "2130706433", "0x7f000001", "0177.0.0.1", "127.1", "0"],
)
def test_every_spelling_of_a_private_address_is_seen_through(settings, host):
    settings.ALLOW_PRIVATE_URLS, settings.ALLOW_HTTP_URLS = False, True
    with pytest.raises(InvalidParameters, match="private"):
        addresses.check_url(f"http://{host}/", "The thing")


def test_a_name_is_not_looked_up_but_left_to_the_call(settings):
    settings.ALLOW_PRIVATE_URLS = False
    addresses.check_url("https://nobody.invalid/", "The thing")


def test_only_addresses_that_may_be_called_are_allowed(settings):
    settings.ALLOW_PRIVATE_URLS = False
    with pytest.raises(addresses.ForbiddenAddress):
        addresses.allowed("mixed.example", ["127.0.0.1", "10.0.0.1"])
    assert addresses.allowed("mixed.example", ["10.0.0.1", "1.1.1.1"]) == ["1.1.1.1"]


@pytest.mark.parametrize("host", ["localhost", "LocalHost.", "hub.localhost"])
def test_localhost_is_this_machine_without_a_look_up(host):
    assert addresses.literal(host) == ["127.0.0.1", "::1"]


@pytest.mark.parametrize("host", ["example.org", "1.2.3.4.example.org", "256.1.1.1", "a" * 63])
def test_a_name_is_no_address(host):
    assert addresses.literal(host) is None
