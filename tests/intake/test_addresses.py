from ipaddress import ip_address

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from intake.addresses import (
    ClientAddresses,
    beginnings,
    canonical_address,
    forwarded_for,
    is_address,
    named_headers,
    net_of,
    parse_address,
    subnet_of,
)
from intake.settings import Fields

PROXIES = ["10.0.0.0/8", "2001:db8:ffff::/48"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("192.0.2.1", "192.0.2.1"),
        (" 192.0.2.1 ", "192.0.2.1"),
        ("192.0.2.1:443", "192.0.2.1"),
        ('"192.0.2.1"', "192.0.2.1"),
        ("2001:DB8::0:1", "2001:db8::1"),
        ("[2001:db8::1]:443", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("[2001:db8::1]:_hidden", "2001:db8::1"),
        ("[2001:db8::1]x", "[2001:db8::1]x"),
        ("[2001:db8::1", "[2001:db8::1"),
        ("[fe80::1%25eth0]:80", "fe80::1"),
        ("192.0.2.1:x", "192.0.2.1:x"),
        ("::192.0.2.1", "::c000:201"),
        ("fe80::1%eth0", "fe80::1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("::ffff:c000:201", "192.0.2.1"),
        ("host.example", "host.example"),
        ("unix:", "unix:"),
        ("192.0.2.256", "192.0.2.256"),
        ("192.0.2.01", "192.0.2.01"),
        ("", ""),
    ],
)
def test_canonical_address(text, expected):
    assert canonical_address(text) == expected


@pytest.mark.parametrize("text", ["", "x", "unknown", "_hidden", "1.2.3", "192.0.2.1, 192.0.2.2"])
def test_no_address(text):
    assert parse_address(text) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("192.0.2.1", True),
        ("2001:db8::1", True),
        ("fe80::1%eth0", False),
        ("192.0.2.1:443", False),
        ("host.example", False),
        ("unix:", False),
        ("", False),
    ],
)
def test_is_address(text, expected):
    assert is_address(text) is expected


@pytest.mark.parametrize(
    ("ip", "expected"),
    [
        ("192.0.2.77", "192.0.2.0/24"),
        ("2001:db8:0:1:2::3", "2001:db8:0:1::/64"),
        ("www.api.example.com", ""),
        ("unix:", ""),
        ("", ""),
    ],
)
def test_subnet_of(ip, expected):
    assert subnet_of(ip) == expected


@pytest.mark.parametrize(
    ("ip", "expected"),
    [
        ("2001:db8:0:1:2::3", "2001:db8:0:1::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::ffff:192.0.2.77", ""),
        ("192.0.2.77", ""),
        ("api.example.com:443", ""),
        ("", ""),
    ],
)
def test_a_client_has_a_whole_64_of_ipv6_and_one_address_of_ipv4(ip, expected):
    assert net_of(ip) == expected


@pytest.mark.parametrize(
    ("net", "expected"),
    [
        ("2001:db8:1:2::/64", ("2001:db8:1:2:",)),
        ("2001:db8:0:1::/64", ("2001:db8:0:1:", "2001:db8::1:")),
        ("2001:db8::/64", ("2001:db8:0:0:", "2001:db8::")),
        ("0:1::/64", ("0:1:0:0:", "::1:0:0:", "0:1::")),
        ("::/64", ("0:0:0:0:", "::")),
    ],
)
def test_with_what_the_texts_of_a_64_begin(net, expected):
    assert beginnings(net) == expected


@given(st.lists(st.sampled_from((0, 0, 1, 0x20AB)), min_size=8, max_size=8))
def test_the_text_of_any_address_begins_as_its_64_says(groups):
    ip = str(ip_address(b"".join(group.to_bytes(2, "big") for group in groups)))
    assume(net_of(ip))
    assert ip.startswith(beginnings(net_of(ip)))


@pytest.mark.parametrize(
    ("name", "proxies", "peer", "forwarded", "expected"),
    [
        ("nobody is trusted", [], "192.0.2.1", "198.51.100.9", ("192.0.2.1", True)),
        ("no header", PROXIES, "10.0.0.1", None, ("10.0.0.1", True)),
        ("one proxy", PROXIES, "10.0.0.1", "198.51.100.9", ("198.51.100.9", True)),
        ("right to left", PROXIES, "10.0.0.1", "203.0.113.1, 198.51.100.9", ("198.51.100.9", True)),
        ("two proxies", PROXIES, "10.0.0.1", "203.0.113.1, 10.0.0.2", ("203.0.113.1", True)),
        ("all are ours", PROXIES, "10.0.0.1", "10.0.0.3, 10.0.0.2", ("10.0.0.3", True)),
        ("peer is no proxy", PROXIES, "192.0.2.1", "198.51.100.9", ("192.0.2.1", True)),
        ("rubbish from the client", PROXIES, "10.0.0.1", "x, 198.51.100.9", ("198.51.100.9", True)),
        ("rubbish from a proxy", PROXIES, "10.0.0.1", "198.51.100.9, x", ("10.0.0.1", True)),
        ("rubbish beyond a proxy", PROXIES, "10.0.0.1", "x, 10.0.0.2", ("10.0.0.2", True)),
        ("empty hops", PROXIES, "10.0.0.1", " , 198.51.100.9, ,", ("198.51.100.9", True)),
        ("ports", PROXIES, "10.0.0.1", "198.51.100.9:5000", ("198.51.100.9", True)),
        ("IPv6 proxy", PROXIES, "2001:db8:ffff::1", "2001:db8::9", ("2001:db8::9", True)),
        ("mapped proxy", PROXIES, "::ffff:10.0.0.1", "198.51.100.9", ("198.51.100.9", True)),
        ("only the header", [], "", "203.0.113.1, 198.51.100.9", ("198.51.100.9", False)),
        ("only the header, proxies", PROXIES, "", "203.0.113.1, 10.0.0.2", ("203.0.113.1", False)),
        ("our socket", PROXIES, "unix:", "198.51.100.9, 10.0.0.2", ("198.51.100.9", True)),
        ("our socket, no proxies named", [], "unix:", "198.51.100.9", ("198.51.100.9", False)),
        ("our socket alone", [], "unix:", None, ("unix:", True)),
        ("no proxy has a name", PROXIES, "proxy.example", "198.51.100.9", ("proxy.example", True)),
        ("nothing", [], "", None, ("", False)),
        ("a very long hop", PROXIES, "10.0.0.1", "1" * 9999, ("10.0.0.1", True)),
    ],
)
def test_client(name, proxies, peer, forwarded, expected):
    addresses = ClientAddresses(proxies)
    assert addresses.client(peer, forwarded) == expected, name
    assert addresses.client(peer, forwarded) == expected, f"{name}, from the cache"


@pytest.mark.parametrize(
    ("elements", "expected"),
    [
        ("for=192.0.2.43", ["192.0.2.43"]),
        ('For="[2001:db8:cafe::17]:4711"', ["[2001:db8:cafe::17]:4711"]),
        ("for=192.0.2.60;proto=http;by=203.0.113.43", ["192.0.2.60"]),
        ("by=203.0.113.43 ; FOR = 192.0.2.60 ;", ["192.0.2.60"]),
        ("for=192.0.2.43, for=198.51.100.17", ["192.0.2.43", "198.51.100.17"]),
        ("for=unknown, for=_mdn;secret=_x", ["unknown", "_mdn"]),
        ('for="192.0.2.43:_port"', ["192.0.2.43:_port"]),
        ("for=[2001:db8::1]:80, for=2001:db8::2", ["[2001:db8::1]:80", "2001:db8::2"]),
        ("proto=https", [""]),
        ("for=192.0.2.1 for=192.0.2.2", [""]),
        ('for="192.0.2.1', [""]),
        ('for="\\1\\92.0.2.1"', ["192.0.2.1"]),
        # The client opens a quote; what the proxy appends is still an element.
        ('for=x;host=", for=192.0.2.9', ["", "192.0.2.9"]),
        # A Host that looks like more elements.
        ('for=192.0.2.9;host="a;for=198.51.100.1"', ["192.0.2.9"]),
        ('host="a;for=198.51.100.1";for=192.0.2.9', ["192.0.2.9"]),
        ('for=192.0.2.9;host="a,for=198.51.100.1;b="', ["", ""]),
        ('for=192.0.2.9;host="a,for=198.51.100.1;b=";proto="https"', ["", ""]),
        (" , ,", []),
        ("for=192.0.2.1;" * 99, [""]),
    ],
)
def test_forwarded_for(elements, expected):
    assert forwarded_for(elements) == expected


PEER = "10.0.0.1"
ME, OTHER, AWAY = "203.0.113.9", "198.51.100.1", "192.0.2.200"


@pytest.mark.parametrize(
    ("name", "fields", "peer", "headers", "expected"),
    [
        ("Forwarded", {}, PEER, (None, f"for={ME}"), (ME, True)),
        ("Forwarded, right to left", {}, PEER, (None, f"for={OTHER}, for={ME}, for=10.0.0.2"),
         (ME, True)),
        ("a client nobody names", {}, PEER, (None, "for=unknown"), (PEER, True)),
        ("a hidden one behind a proxy", {}, PEER, (None, "for=_x, for=10.0.0.2"),
         ("10.0.0.2", True)),
        ("one address", {}, PEER, (None, None, ME), (ME, True)),
        ("one address with a port", {}, PEER, (None, None, f"{ME}:99"), (ME, True)),
        ("two that one proxy cannot have set", {}, PEER, (None, None, f"{OTHER}, {ME}"),
         (PEER, True)),
        ("True-Client-IP beside the chain", {}, PEER, (ME, None, OTHER), (ME, True)),
        ("Forwarded beside the chain", {}, PEER, (ME, f"for={OTHER}"), (ME, True)),
        ("True-Client-IP beside Forwarded", {}, PEER, (None, f"for={ME}", OTHER), (ME, True)),
        ("empty ones do not count", {}, PEER, (" ,", "", ME), (ME, True)),
        ("named: one address", {"client": "cf"}, PEER, (OTHER, None, ME), (ME, True)),
        ("named: Forwarded", {"forwarded": "f"}, PEER, (OTHER, f"for={ME}"), (ME, True)),
        ("named, and not there", {"client": "cf"}, PEER, (ME, None, None), (ME, True)),
        ("named both", {"client": "cf", "forwarded_for": "x"}, PEER, (ME, None, OTHER),
         (ME, True)),
        ("the peer is no proxy", {"client": "cf"}, ME, (OTHER, f"for={OTHER}", OTHER), (ME, True)),
        ("the socket", {}, "unix:", (None, f"for={ME}"), (ME, True)),
        ("no peer", {}, "", (None, None, ME), (ME, False)),
        ("no peer, two", {}, "", (None, None, f"{OTHER}, {ME}"), (ME, False)),
        ("no peer, hidden", {}, "", (None, "for=_x"), ("_x", False)),
    ],
)  # fmt: skip
def test_which_header_decides(name, fields, peer, headers, expected):
    addresses = ClientAddresses(PROXIES, named_headers(Fields(**fields)))
    assert addresses.client(peer, *headers) == expected, name
    assert addresses.client(peer, *headers) == expected, f"{name}, from the cache"


def test_no_header_is_believed_where_no_proxy_is_trusted():
    addresses = ClientAddresses([])
    assert addresses.client(AWAY, OTHER, f"for={OTHER}", OTHER) == (AWAY, True)
    assert addresses.client("unix:", None, f"for={ME}") == (ME, False)


def test_a_client_cannot_fill_the_cache_with_its_own_header():
    addresses = ClientAddresses([])
    for number in range(1000):
        addresses.client("2001:db8::1", f"198.51.100.{number}")
    assert len(addresses._cache) == 1


def test_the_cache_is_bounded(monkeypatch):
    monkeypatch.setattr("intake.addresses._CACHE_ENTRIES", 10)
    addresses = ClientAddresses(PROXIES)
    for number in range(100):
        addresses.client("10.0.0.1", f"198.51.100.{number}")
    assert len(addresses._cache) <= 10
    addresses.client("10.0.0.1", "198.51.100.1, " * 1000)
    assert max(map(len, addresses._cache)) < 300
