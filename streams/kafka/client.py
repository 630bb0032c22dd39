"""How every client of ours comes in at the brokers: addresses, SASL, TLS, and the common times.

In: settings and an environment. Out: keyword arguments for aiokafka's clients, credentials for
Faust. The password is read at each call, so that a rotated one is taken up; it must never be kept
in a setting, logged, or put into an exception.
"""

import logging
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from streams.kafka.settings import Kafka, Sasl, Tls

if TYPE_CHECKING:
    from faust.types.auth import CredentialsT

MAX_RECORD_BYTES: Final = 4 << 20
"""Of one record, as topics take it and producers must allow it: a frame and a line of 1 MiB each,
twice over."""

_REBALANCE_SLACK_S: Final = 10


def security(kafka: Kafka, env: Mapping[str, str]) -> dict[str, object]:
    """Who we are and whom we trust, as keyword arguments for any of aiokafka's clients.

    Raises:
        ValueError: the password or a file of `tls` is not where the configuration says, or is no
            good; with what to do, and never with the password.
    """
    protocol = ("SASL_" if kafka.sasl else "") + ("SSL" if kafka.tls else "PLAINTEXT")
    arguments: dict[str, object] = {"security_protocol": protocol}
    if kafka.tls:
        arguments["ssl_context"] = _trust(kafka.tls)
    if kafka.sasl:
        _hush()
        arguments |= {
            "sasl_mechanism": kafka.sasl.mechanism,
            "sasl_plain_username": kafka.sasl.username,
            "sasl_plain_password": _password(kafka.sasl, env),
        }
    return arguments


def connection(kafka: Kafka, env: Mapping[str, str]) -> dict[str, object]:
    """Everything that producers, consumers and the admin client have in common; see `security`.

    The request timeout is longer than the session's: joining a group is one request, which the
    broker answers after the slowest member has joined.
    """
    return {
        "bootstrap_servers": ",".join(kafka.brokers),
        "client_id": kafka.group,
        "request_timeout_ms": int((kafka.session_timeout_s + _REBALANCE_SLACK_S) * 1000),
        "retry_backoff_ms": 100,
        "metadata_max_age_ms": 60_000,
        **security(kafka, env),
    }


def faust_credentials(kafka: Kafka, env: Mapping[str, str]) -> "CredentialsT | None":
    """The same for Faust's `broker_credentials`; None where brokers ask nobody anything."""
    from faust import SASLCredentials, SSLCredentials  # noqa: PLC0415  slow: only the worker

    context = _trust(kafka.tls) if kafka.tls else None
    if kafka.sasl:
        _hush()
        return SASLCredentials(
            mechanism=kafka.sasl.mechanism,
            username=kafka.sasl.username,
            password=_password(kafka.sasl, env),
            ssl_context=context,
        )
    return SSLCredentials(context) if context else None


def _password(sasl: Sasl, env: Mapping[str, str]) -> str:
    name, file = sasl.password_env, sasl.password_file
    try:
        password = file.read_text("utf-8") if file else env.get(name or "", "")
    except (OSError, UnicodeDecodeError):  # the latter quotes the bytes, which are the password
        password = ""
    if password := password.strip("\r\n"):
        return password
    todo = f"{file} cannot be read or is empty" if file else f"set ${name} and start again"
    # Without a cause: a decoder's error holds the bytes.
    raise ValueError(f"the password of Kafka user {sasl.username} is missing: {todo}") from None


def _trust(tls: Tls) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=tls.ca_file)
    except OSError as error:
        raise ValueError(_unfit("ca_file", tls.ca_file, error, "certificates")) from None
    if tls.cert_file is None:
        return context
    try:
        context.load_cert_chain(tls.cert_file, tls.key_file, password=_no_passphrase)
    except OSError as error:
        files = " and ".join(str(file) for file in (tls.cert_file, tls.key_file) if file)
        what = "a certificate and its key"
        raise ValueError(_unfit("cert_file", files, error, what)) from None
    return context


def _unfit(setting: str, file: Path | str | None, error: OSError, what: str) -> str:
    # OpenSSL's own words, "[X509: NO_CERTIFICATE_OR_CRL_FOUND] ... (_ssl.c:4149)", help nobody.
    why = f"not {what} in PEM" if isinstance(error, ssl.SSLError) else f"{error.strerror or error}"
    return f"reading kafka.tls.{setting} {file}: {why}: correct the file or its path"


def _no_passphrase() -> str:
    """Instead of OpenSSL's own way, which is to stop and ask at the terminal."""
    raise ValueError("reading kafka.tls.key_file: the key has a passphrase: store it without one")


def _hush() -> None:
    """Keep aiokafka's connections from logging requests: PLAIN's request is the password."""
    logging.getLogger("aiokafka.conn").addFilter(_is_no_request)


def _is_no_request(record: logging.LogRecord) -> bool:
    return record.levelno > logging.DEBUG
