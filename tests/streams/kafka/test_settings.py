import pytest
from pydantic import ValidationError

from streams.kafka.settings import Kafka, Sasl, Tls

BROKERS = ["192.0.2.1:9092"]


def test_the_defaults():
    assert Kafka(brokers=BROKERS).model_dump() == {
        "brokers": BROKERS,
        "prefix": "breachline.",
        "group": "breachline",
        "partitions": 4,
        "replication_factor": None,
        "session_timeout_s": 10,
        "commit_ms": 150,
        "sasl": None,
        "tls": None,
    }
    assert Sasl(username="breachline").mechanism == "SCRAM-SHA-512"


@pytest.mark.parametrize(
    ("values", "place"),
    [
        ({"brokers": []}, "brokers"),
        ({"brokers": ["192.0.2.1"]}, "brokers"),
        ({"prefix": "breach line."}, "prefix"),
        ({"prefix": "x" * 201}, "prefix"),
        ({"group": ""}, "group"),
        ({"partitions": 0}, "partitions"),
        ({"replication_factor": 0}, "replication_factor"),
        ({"session_timeout_s": 0}, "session_timeout_s"),
        ({"commit_ms": 0}, "commit_ms"),
        ({"sasl": {"username": ""}}, "sasl"),
        ({"sasl": {"username": "a", "mechanism": "GSSAPI"}}, "sasl"),
        ({"sasl": {"username": "a", "password": "synthetic-secret"}}, "sasl"),
        ({"sasl": {"username": "a", "password_env": "synthetic-secret"}}, "sasl"),
        ({"tls": {"key_file": "key.pem"}}, "tls"),
    ],
)
def test_what_does_not_fit(values, place):
    with pytest.raises(ValidationError) as raised:
        Kafka.model_validate({"brokers": BROKERS} | values)
    (error,) = raised.value.errors()
    assert error["loc"][0] == place
    assert "synthetic-secret" not in str(raised.value)


def test_a_key_may_stand_beside_its_certificate_or_in_it(tmp_path):
    both = Tls(cert_file=tmp_path / "cert.pem", key_file=tmp_path / "key.pem")
    assert both.key_file is not None
    assert Tls(cert_file=tmp_path / "both.pem").key_file is None


def test_every_setting_says_what_it_is_for():
    fields = Kafka.model_fields | Sasl.model_fields | Tls.model_fields
    silent = {name for name, field in fields.items() if not field.description}
    assert silent == {"sasl", "tls", "mechanism", "username"}
