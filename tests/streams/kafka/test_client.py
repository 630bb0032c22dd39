import logging
import ssl
import subprocess
import sys

import pytest
from faust import SASLCredentials, SSLCredentials

from streams.kafka.client import connection, faust_credentials, security
from streams.kafka.settings import Kafka, Tls

PASSWORD = "synthetic password"
BROKERS = ["192.0.2.1:9092", "192.0.2.2:9092"]


def configured(**blocks):
    return Kafka.model_validate({"brokers": BROKERS} | blocks)


SASL = {"username": "breachline", "password_env": "KAFKA_PASSWORD"}
ENV = {"KAFKA_PASSWORD": PASSWORD}
SIGNED_IN = {
    "sasl_mechanism": "SCRAM-SHA-512",
    "sasl_plain_username": "breachline",
    "sasl_plain_password": PASSWORD,
}
ARGUMENTS = [
    ("nobody is asked", {}, {"security_protocol": "PLAINTEXT"}),
    ("a password", {"sasl": SASL}, {"security_protocol": "SASL_PLAINTEXT"} | SIGNED_IN),
    ("TLS", {"tls": {}}, {"security_protocol": "SSL"}),
    ("both", {"sasl": SASL, "tls": {}}, {"security_protocol": "SASL_SSL"} | SIGNED_IN),
]


@pytest.mark.parametrize(("name", "blocks", "expected"), ARGUMENTS)
def test_arguments(name, blocks, expected):
    found = security(configured(**blocks), ENV)
    context = found.pop("ssl_context", None)
    assert found == expected, name
    assert (context is not None) == ("tls" in blocks)


def test_what_all_clients_have_in_common():
    kafka = configured(sasl=SASL, session_timeout_s=6)
    found = connection(kafka, ENV)
    assert found == security(kafka, ENV) | {
        "bootstrap_servers": "192.0.2.1:9092,192.0.2.2:9092",
        "client_id": "breachline",
        "request_timeout_ms": 16_000,
        "retry_backoff_ms": 100,
        "metadata_max_age_ms": 60_000,
    }


def test_certificates_and_names_are_verified():
    context = security(configured(tls={}), {})["ssl_context"]
    assert isinstance(context, ssl.SSLContext)
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)


def test_a_password_is_read_anew_each_time(tmp_path):
    file = tmp_path / "password"
    kafka = configured(sasl={"username": "breachline", "password_file": file})
    for password in ("one", " two with spaces "):
        file.write_text(f"{password}\n")
        assert security(kafka, {})["sasl_plain_password"] == password


@pytest.mark.parametrize("env", [{}, {"KAFKA_PASSWORD": ""}, {"KAFKA_PASSWORD": "\n"}])
def test_a_password_that_is_not_set(env):
    with pytest.raises(ValueError) as raised:
        security(configured(sasl=SASL), env)
    assert str(raised.value) == (
        "the password of Kafka user breachline is missing: set $KAFKA_PASSWORD and start again"
    )


@pytest.mark.parametrize("data", [None, b"", b"\n", PASSWORD.encode() + b"\xff"])
def test_a_password_file_that_is_no_good(tmp_path, data):
    file = tmp_path / "password"
    if data is not None:
        file.write_bytes(data)
    with pytest.raises(ValueError) as raised:
        security(configured(sasl={"username": "breachline", "password_file": file}), {})
    error = raised.value
    assert str(error) == (
        f"the password of Kafka user breachline is missing: {file} cannot be read or is empty"
    )
    # Nor in what a traceback would show.
    assert error.__suppress_context__
    assert PASSWORD not in repr(error)


TLS_FILES = [
    ("no certificates", "ca_file", b"nonsense", "not certificates in PEM"),
    ("an empty file", "ca_file", b"", "not certificates in PEM"),
    ("not there", "ca_file", None, "No such file or directory"),
    ("no certificate", "cert_file", b"nonsense", "not a certificate and its key in PEM"),
    ("not there", "cert_file", None, "No such file or directory"),
]


@pytest.mark.parametrize(("name", "setting", "data", "why"), TLS_FILES)
def test_a_file_that_is_no_good(tmp_path, name, setting, data, why):
    file = tmp_path / "file.pem"
    if data is not None:
        file.write_bytes(data)
    with pytest.raises(ValueError) as raised:
        security(configured(tls={setting: file}), {})
    assert str(raised.value) == (
        f"reading kafka.tls.{setting} {file}: {why}: correct the file or its path"
    ), name


def test_the_same_for_faust():
    assert faust_credentials(configured(), {}) is None
    assert isinstance(faust_credentials(configured(tls={}), {}), SSLCredentials)
    for tls, protocol in ((None, "SASL_PLAINTEXT"), (Tls(), "SASL_SSL")):
        found = faust_credentials(configured(sasl=SASL, tls=tls), ENV)
        assert isinstance(found, SASLCredentials)
        assert found.protocol.value == protocol
        assert found.mechanism.value == "SCRAM-SHA-512"
        assert (found.username, found.password) == ("breachline", PASSWORD)
        assert PASSWORD not in repr(found)


@pytest.mark.parametrize("client", [security, faust_credentials])
def test_requests_are_not_logged(caplog, client):
    client(configured(sasl=SASL), ENV)
    log = logging.getLogger("aiokafka.conn")
    caplog.set_level(logging.DEBUG, logger=log.name)
    # As aiokafka logs a request; PLAIN's holds the password.
    log.debug("Request to %s:%d %d: %s", "192.0.2.1", 9092, 2, PASSWORD)
    log.info("Authenticated as breachline")
    assert caplog.messages == ["Authenticated as breachline"]


@pytest.mark.stack
def test_commands_without_kafka_do_not_load_its_client():
    program = (
        "import sys, console.checkup, streams.kafka.client, streams.kafka.topics;"
        "print([name for name in ('aiokafka', 'faust') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)
    assert done.stdout == b"[]\n"
