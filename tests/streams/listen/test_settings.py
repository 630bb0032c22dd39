import pytest
from pydantic import ValidationError

from streams.listen.settings import Http, ListenSettings, Syslog, is_loopback

PASTED = "s3cret-pasted-into-the-wrong-field"


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("127.0.0.1:8088", True),
        ("127.9.9.9:1", True),
        ("[::1]:8088", True),
        ("localhost:8088", True),
        ("0.0.0.0:8088", False),
        ("[::]:8088", False),
        ("192.0.2.1:8088", False),
        ("localhost.example:8088", False),
    ],
)
def test_loopback(address, expected):
    assert is_loopback(address) is expected


@pytest.mark.parametrize(
    ("model", "data", "says"),
    [
        (Http, {"address": "0.0.0.0:8088"}, "can be reached from other machines"),
        (Http, {"address": "[::]:8088"}, "can be reached from other machines"),
        (Http, {"address": "intake.example:8088"}, "is an IP address"),
        (Http, {"address": "8088"}, "is not host:port"),
        (Http, {"token_env": "T", "token_file": "f"}, "not both"),
        (Http, {"key_file": "k.pem"}, "needs certificate_file"),
        (Http, {"max_body": "lots"}, "is not a size"),
        (Http, {"token": PASTED}, "Extra inputs"),
        (Http, {"token_env": PASTED}, "String should match"),
        (Syslog, {"protocol": "tls"}, "needs certificate_file"),
        (Syslog, {"protocol": "udp", "certificate_file": "c.pem"}, "are for protocol tls"),
        (Syslog, {"protocol": "tcp", "ca_file": "c.pem"}, "are for protocol tls"),
        (ListenSettings, {"journald": {"units": []}}, "at least 1 item"),
        (ListenSettings, {"max_waiting": 1}, "greater than or equal"),
    ],
)
def test_what_cannot_be_meant_is_refused_without_its_value(model, data, says):
    with pytest.raises(ValidationError) as error:
        model.model_validate(data)
    assert says in str(error.value)
    assert PASTED not in str(error.value)


def test_other_machines_may_send_where_there_is_a_token():
    http = Http.model_validate({"address": "0.0.0.0:8088", "token_env": "INTAKE_TOKEN"})
    assert (http.address, http.has_token, http.max_body) == ("0.0.0.0:8088", True, 64 << 20)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({}, False),
        ({"http": {}}, True),
        ({"syslog": [{"address": "127.0.0.1:5514"}]}, True),
        ({"journald": {"units": ["caddy.service"]}}, True),
    ],
)
def test_nothing_is_listened_to_unless_it_is_configured(data, expected):
    assert ListenSettings.model_validate(data).is_any is expected
