import pytest

from intake.sites import is_cross_site
from tests.intake._lines import get


@pytest.mark.parametrize(
    ("name", "fields", "expected"),
    [
        ("said by the browser", {"fetch_site": "Cross-Site"}, True),
        ("same origin", {"fetch_site": "same-origin", "origin": "https://evil.example"}, False),
        ("foreign origin", {"origin": "https://evil.example", "host": "api.shop.example"}, True),
        ("own origin", {"origin": "https://shop.example", "host": "shop.example:8443"}, False),
        ("one site", {"origin": "https://app.shop.example", "host": "api.shop.example"}, False),
        ("neighbours", {"origin": "https://evil.co.uk", "host": "shop.co.uk"}, True),
        ("addresses", {"origin": "https://192.0.2.9", "host": "192.0.2.8"}, True),
        ("no origin", {"origin": "null", "host": "shop.example"}, False),
        ("broken origin", {"origin": "http://[", "host": "shop.example"}, False),
        ("no site can add a token", {"fetch_site": "cross-site", "authorization": "Bearer x"},
         False),
        ("a browser adds Basic", {"fetch_site": "cross-site", "authorization": "Basic eA=="}, True),
        ("no site can add a claim", {"fetch_site": "cross-site", "claimed": "18"}, False),
        ("nor another", {"fetch_site": "cross-site", "other_claims": ((1, "18"),)}, False),
    ],
)  # fmt: skip
def test_cross_site(name, fields, expected):
    assert is_cross_site(get("/users/18", "17", **fields)) is expected, name
