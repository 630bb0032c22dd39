import pytest
from pydantic import ValidationError

from responders.settings import GatewaySettings

URL = "http://127.0.0.1:9000"


def test_defaults_are_the_contracts_paths():
    assert GatewaySettings(url=URL, token_env="GATEWAY_TOKEN").model_dump() == {
        "url": URL,
        "token_env": "GATEWAY_TOKEN",
        "token_file": None,
        "ca_file": None,
        "block_path": "/admin/block-ip",
        "unblock_path": "/admin/unblock-ip",
        "list_path": "/admin/blocked-ips",
        "timeout": 5.0,
    }


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://127.0.0.1:9000/", URL),
        ("https://gateway.example/v1/", "https://gateway.example/v1"),
        ("http://[2001:db8::1]:9000", "http://[2001:db8::1]:9000"),
        ("HTTPS://Gateway.Example:443", "https://gateway.example"),
        ("http://bücher.example/ä b", "http://xn--bcher-kva.example/%C3%A4%20b"),
    ],
)
def test_url(url, expected):
    assert GatewaySettings(url=url).url == expected


def test_timeout_is_a_duration():
    assert GatewaySettings.model_validate({"url": URL, "timeout": "2s"}).timeout == 2.0


@pytest.mark.parametrize(
    ("name", "given", "says"),
    [
        ("no scheme", {"url": "127.0.0.1:9000"}, "not a"),
        ("other scheme", {"url": "ftp://127.0.0.1"}, "not an http or https URL"),
        ("no host", {"url": "http://"}, "not an http or https URL"),
        ("broken", {"url": "http://[::1"}, "not a URL"),
        ("no such port", {"url": "http://127.0.0.1:99999"}, "not a URL"),
        ("a line end", {"url": URL + "/\r\nX: hunter2"}, "not a URL"),
        ("broken, credentials", {"url": "http://admin:hunter2@:x"}, "not a"),
        ("credentials", {"url": "http://admin:hunter2@127.0.0.1"}, "take user and password out"),
        ("token for a user", {"url": "http://hunter2@127.0.0.1"}, "take user and password out"),
        ("query", {"url": URL + "/?key=hunter2"}, "no query"),
        ("fragment", {"url": URL + "/#hunter2"}, "no fragment"),
        ("relative path", {"url": URL, "block_path": "admin"}, "block_path"),
        ("path with a line end", {"url": URL, "list_path": "/a\r\nX: y"}, "list_path"),
        ("pasted token", {"url": URL, "token_env": "hunter2.eyJ-x"}, "token_env"),
        ("two tokens", {"url": URL, "token_env": "A", "token_file": "/a"}, "not both"),
        ("no time", {"url": URL, "timeout": 0}, "timeout"),
        ("longer than the lease allows", {"url": URL, "timeout": "1m"}, "timeout"),
        ("unknown name", {"url": URL, "tokn_env": "A"}, "tokn_env"),
    ],
)
def test_refused(name, given, says):
    with pytest.raises(ValidationError) as raised:
        GatewaySettings.model_validate(given)
    assert says in str(raised.value)
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"token_env": "GATEWAY_TOKEN"}, "$GATEWAY_TOKEN"),
        ({"token_file": "/run/secrets/gateway"}, "/run/secrets/gateway"),
        ({}, ""),
    ],
)
def test_token_name(given, expected):
    assert GatewaySettings.model_validate({"url": URL, **given}).token_name == expected
