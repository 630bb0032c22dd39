import pytest

from intake.addresses import (
    ClientAddresses,
    canonical_address,
    is_address,
    parse_address,
    subnet_of,
)

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
    ],
)
def test_client(name, proxies, peer, forwarded, expected):
    addresses = ClientAddresses(proxies)
    assert addresses.client(peer, forwarded) == expected, name
    assert addresses.client(peer, forwarded) == expected, f"{name}, from the cache"


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
