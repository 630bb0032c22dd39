"""Looks at the brokers: who answers, how new they are, which topics are there, what we may do.

In: settings, an environment, names of topics. Out: facts, or what is in the way and what to do.
It changes nothing on the brokers, asks for no topic to be created, ends within `TIMEOUT_S`, and
never shows the password. aiokafka's own clients tell a refused password from a dead broker only
in their log, so this one talks over single connections.
"""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, Literal, NamedTuple

import msgspec
from aiokafka import errors
from aiokafka.conn import AIOKafkaConnection
from aiokafka.protocol.admin import ApiVersionRequest
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.coordination import FindCoordinatorRequest
from aiokafka.protocol.types import Array, Boolean, Int16, Int32, Schema, String

from streams.kafka.client import security
from streams.kafka.settings import Kafka

TIMEOUT_S: Final = 8
"""Of one whole look."""
_STEP_TIMEOUT_S: Final = 3
"""Of one connection or answer."""
_CLOSE_TIMEOUT_S: Final = 0.2

_READ, _WRITE, _CREATE = 1 << 3, 1 << 4, 1 << 5
_GROUP, _TRANSACTION = 0, 1
_FETCH = 1
_RELEASES: Final = (
    (18, "4.1"), (17, "3.9"), (16, "3.7"), (15, "3.5"), (13, "3.1"), (12, "2.7"), (11, "2.3"),
)  # fmt: skip
"""The newest Fetch that a release knows: brokers tell what they speak, not what they are."""


class Trouble(msgspec.Struct, frozen=True):
    """What is in the way. `unreachable` may pass by itself; `refused` needs somebody to act."""

    kind: Literal["unreachable", "refused"]
    says: str
    do: str

    def error(self) -> Exception:
        """The same to raise: ConnectionError or PermissionError."""
        text = f"{self.says}: {self.do}"
        return ConnectionError(text) if self.kind == "unreachable" else PermissionError(text)


class Topic(msgspec.Struct, frozen=True):
    """A topic as the brokers show it to us."""

    partitions: int
    """0 if it is not there, or hidden from us."""
    leaderless: int = 0
    may_read: bool = True
    may_write: bool = True


class Reach(msgspec.Struct, frozen=True):
    """What one look at the brokers showed."""

    brokers: tuple[str, ...]
    """host:port of each broker that is up, as the cluster names it."""
    release: str
    """The oldest release of Kafka that it can be."""
    topics: dict[str, Topic]
    may_create: bool
    """Any topic at all; a user may also be allowed single names."""
    denied: tuple[str, ...]
    """What this user is not allowed, of group and transactions."""
    silent: tuple[Trouble, ...]
    """Brokers that do not answer, configured or named by the cluster."""


async def reach(
    kafka: Kafka, env: Mapping[str, str], topics: Sequence[str] = ()
) -> Reach | Trouble:
    """One look, through the first of the configured brokers that answers.

    Raises:
        ValueError: password or TLS files are not where the configuration says.
    """
    client = _Client(kafka, security(kafka, env))
    try:
        async with asyncio.timeout(TIMEOUT_S):
            answers = await asyncio.gather(*(_ask(client, at, topics) for at in kafka.brokers))
            silent = [answer for answer in answers if isinstance(answer, Trouble)]
            found = next((answer for answer in answers if not isinstance(answer, Trouble)), None)
            if found is None:
                # A broker that refuses us says more than one that is down.
                return min(silent, key=lambda trouble: trouble.kind != "refused")
            others = [at for at in found.brokers if at not in kafka.brokers]
            named = await asyncio.gather(*(_greet(client, at) for at in others))
    except TimeoutError:
        return _unreachable(", ".join(kafka.brokers), f"no answer within {TIMEOUT_S} s")
    silent += [trouble for trouble in named if trouble]
    return msgspec.structs.replace(found, silent=tuple(silent))


class _Client(NamedTuple):
    kafka: Kafka
    security: Mapping[str, object]


async def _ask(client: _Client, address: str, topics: Sequence[str]) -> Reach | Trouble:
    """Everything that one broker tells."""
    try:
        async with _connected(client, address) as broker:
            spoken = {
                row[0]: row[2] for row in (await broker.send(ApiVersionRequest())).api_versions
            }
            told = (await broker.send(_Metadata(topics))).to_object()
            denied = [text async for text in _denied(client.kafka, broker)]
            shown = {row["topic"]: _topic(row) for row in told["topics"]}
    except Exception as error:  # noqa: BLE001  a broker, or what is none, can answer with anything
        return _trouble(client.kafka, address, error)
    return Reach(
        tuple(sorted(f"{row['host']}:{row['port']}" for row in told["brokers"])),
        next((name for newest, name in _RELEASES if spoken.get(_FETCH, 0) >= newest), "2.3"),
        {name: shown[name] for name in topics},
        bool(told["cluster_operations"] & _CREATE),
        tuple(denied),
        (),
    )


async def _greet(client: _Client, address: str) -> Trouble | None:
    """Whether a broker that the cluster named lets us in too."""
    try:
        async with _connected(client, address):
            return None
    except Exception as error:  # noqa: BLE001  as above
        trouble = _trouble(client.kafka, address, error)
    down = trouble.kind == "unreachable"
    todo = "start it, or correct its advertised.listeners" if down else trouble.do
    return Trouble(trouble.kind, f"{trouble.says} (the cluster names this broker)", todo)


@asynccontextmanager
async def _connected(client: _Client, address: str) -> AsyncIterator[Any]:
    host, _, port = address.rpartition(":")
    broker = AIOKafkaConnection(
        host.strip("[]"),
        int(port),
        client_id=client.kafka.group,
        request_timeout_ms=int(_STEP_TIMEOUT_S * 1000),
        **client.security,
    )
    try:
        await broker.connect()
        yield broker
    finally:
        # Of a connection that never came about, nobody tells that it is closed.
        if closed := broker.close():
            await asyncio.wait([closed], timeout=_CLOSE_TIMEOUT_S)


async def _denied(kafka: Kafka, broker: Any) -> AsyncIterator[str]:
    asked = (
        (_GROUP, kafka.group, errors.GroupAuthorizationFailedError, "Read on group"),
        (
            _TRANSACTION,
            f"{kafka.prefix}intake-0",
            errors.TransactionalIdAuthorizationFailed,
            "Write on transactional ids that begin like",
        ),
    )
    for kind, name, refusal, what in asked:
        answer = await broker.send(FindCoordinatorRequest(name, kind))
        if answer.error_code == refusal.errno:
            yield f"{what} {name}"


def _topic(row: Mapping[str, Any]) -> Topic:
    """An unknown topic shows no operations; one that must not be seen, neither."""
    parts, operations = row["partitions"], row["operations"]
    hidden = row["error_code"] == errors.TopicAuthorizationFailedError.errno
    return Topic(
        len(parts),
        sum(part["leader"] < 0 for part in parts),
        not hidden and (not parts or bool(operations & _READ)),
        not hidden and (not parts or bool(operations & _WRITE)),
    )


def _unreachable(address: str, why: str) -> Trouble:
    return Trouble(
        "unreachable", f"Kafka at {address}: {why}", "is it running, and is kafka.brokers right?"
    )


def _trouble(kafka: Kafka, address: str, error: Exception) -> Trouble:
    """What a failed connection means, and what to do; never with what the broker was told."""
    why, todo = _refusal(kafka, error)
    if why:
        return Trouble("refused", f"Kafka at {address}: {why}", todo)
    if isinstance(error, TimeoutError):
        return _unreachable(address, f"no answer within {_STEP_TIMEOUT_S} s")
    if isinstance(error, socket.gaierror):
        return _unreachable(address, "the name is not known here")
    if isinstance(error, ConnectionRefusedError):
        return _unreachable(address, "nothing listens there")
    if isinstance(error, OSError):
        return _unreachable(address, error.strerror or type(error).__name__)
    return _unreachable(address, f"its answer is not Kafka's ({type(error).__name__})")


def _refusal(kafka: Kafka, error: Exception) -> tuple[str, str]:
    """(why, what to do) where the broker, or its certificate, is there and does not suit us."""
    sasl = kafka.sasl
    if isinstance(error, ssl.SSLCertVerificationError):
        why = f"its certificate is not trusted ({error.verify_message.rstrip('.')})"
        return why, "set kafka.tls.ca_file to the authority that signed it, and call it by its name"
    if isinstance(error, ssl.SSLError) and "ALERT" in (error.reason or ""):
        why = f"it refuses our TLS ({(error.reason or '').lower().replace('_', ' ')})"
        return why, "set kafka.tls.cert_file to a certificate that it trusts"
    if kafka.tls and isinstance(error, ssl.SSLError | ConnectionResetError):
        return "no TLS there", "remove kafka.tls, or name the port that speaks TLS"
    if isinstance(error, errors.SaslAuthenticationFailed | errors.AuthenticationFailedError):
        place = (sasl.password_file or f"${sasl.password_env}") if sasl else ""
        user = sasl.username if sasl else ""
        return f"user {user} is refused", f"check kafka.sasl.username and the password in {place}"
    if isinstance(error, errors.UnsupportedSaslMechanismError):
        name = sasl.mechanism if sasl else ""
        return f"no {name} there", "set kafka.sasl.mechanism to one that the broker has enabled"
    if isinstance(error, errors.IllegalSaslStateError):
        return "it asks for no password", "remove kafka.sasl, or name the port that asks for one"
    if isinstance(error, errors.KafkaConnectionError | EOFError | ConnectionResetError):
        lacks = [] if kafka.tls else ["kafka.tls"]
        lacks += [] if sasl else ["kafka.sasl"]
        lacks += ["kafka.tls.cert_file"] if kafka.tls and not kafka.tls.cert_file else []
        add = f"add {' or '.join(lacks)}" if lacks else "see the broker's log"
        return "it hangs up on us", f"{add}, or name another of its ports"
    if isinstance(error, NotImplementedError | errors.IncompatibleBrokerVersion):
        return "it is older than Kafka 2.3", "use a newer broker"
    return "", ""


class _MetadataResponse(Response):  # type: ignore[misc]
    """Version 8, the last before the flexible ones; aiokafka ends at 5, which tells no rights."""

    API_KEY = 3
    API_VERSION = 8
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "brokers",
            Array(
                ("node_id", Int32),
                ("host", String("utf-8")),
                ("port", Int32),
                ("rack", String("utf-8")),
            ),
        ),
        ("cluster_id", String("utf-8")),
        ("controller_id", Int32),
        (
            "topics",
            Array(
                ("error_code", Int16),
                ("topic", String("utf-8")),
                ("is_internal", Boolean),
                (
                    "partitions",
                    Array(
                        ("error_code", Int16),
                        ("partition", Int32),
                        ("leader", Int32),
                        ("leader_epoch", Int32),
                        ("replicas", Array(Int32)),
                        ("isr", Array(Int32)),
                        ("offline_replicas", Array(Int32)),
                    ),
                ),
                ("operations", Int32),
            ),
        ),
        ("cluster_operations", Int32),
    )


class _MetadataRequest(RequestStruct):  # type: ignore[misc]
    API_KEY = 3
    API_VERSION = 8
    RESPONSE_TYPE = _MetadataResponse
    SCHEMA = Schema(
        ("topics", Array(String("utf-8"))),
        ("allow_auto_topic_creation", Boolean),
        ("include_cluster_operations", Boolean),
        ("include_topic_operations", Boolean),
    )


class _Metadata(Request[_MetadataRequest]):  # type: ignore[misc]
    """The brokers, and topics by name, with what this user may do; creates nothing."""

    API_KEY = 3

    def __init__(self, topics: Sequence[str]) -> None:
        self._topics = list(topics)

    def build(self, request_struct_class: type[_MetadataRequest]) -> _MetadataRequest:
        return request_struct_class(self._topics, False, True, True)
