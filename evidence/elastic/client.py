"""The one client of Elasticsearch: how it comes in, and who is at the other end.

Options come in, a client goes out. It neither retries nor looks for other nodes: who sends decides
when again. No key and no password may stand in a message.
"""

import base64
import re
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
from elastic_transport import ApiError, NodeConfig, SerializationError
from elastic_transport.client_utils import url_to_node_config
from elasticsearch import AsyncElasticsearch
from elasticsearch import serializer as theirs

from evidence.elastic.trouble import CLIENT_MAJOR, ERRORS, OTHER_MAJOR, Trouble, said

__all__ = ["ERRORS", "Options", "Reach", "Trouble", "connect", "reach", "read_api_key", "said"]

_LONGEST_KEY = 4096
_A_KEY = re.compile(rb"[A-Za-z0-9_-]+:[A-Za-z0-9_-]+|[A-Za-z0-9+/_-]+={0,2}")


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """Where Elasticsearch is, and how to come in."""

    hosts: tuple[str, ...]
    """URLs, without user and password; nothing after the port means 80 or 443."""
    api_key: str = ""
    """As `read_api_key` returns it."""
    ca_file: Path | None = None
    """Without it the system's authorities count."""
    client_certificate_file: Path | None = None
    client_key_file: Path | None = None
    """Without it the key stands in the file of the certificate."""
    timeout_s: float = 30.0
    """Of one request."""

    def __repr__(self) -> str:
        """Where it is, without the key."""
        return f"Options(hosts={self.hosts!r})"


class Reach(msgspec.Struct, frozen=True):
    """Who stands at the other end; `version` is "" where that was not told."""

    version: str
    words: str
    warning: bool = False
    """Whether a person should do what the words say."""


class _Json(theirs.OrjsonSerializer):
    """An answer that is no JSON does not hide its status: it is a text."""

    def loads(self, data: bytes) -> Any:
        try:
            return super().loads(data)
        except SerializationError:
            return data.decode(errors="replace")


class _CompatibleJson(_Json):
    mimetype = theirs.CompatibilityModeJsonSerializer.mimetype


class _Lines(theirs.NdjsonSerializer):
    """Bytes are sent as they are: they may be compressed, and bear no further newline."""

    def dumps(self, data: Any) -> bytes:
        return data if isinstance(data, bytes) else super().dumps(data)


class _CompatibleLines(_Lines):
    mimetype = theirs.CompatibilityModeNdjsonSerializer.mimetype


_SERIALIZERS = (_Json(), _CompatibleJson(), _Lines(), _CompatibleLines())


def connect(options: Options) -> AsyncElasticsearch:
    """A client that connects at its first request; close() ends it.

    Raises:
        ValueError: a file of the options is unreadable or holds no PEM.
    """
    hosts = options.hosts
    nodes = [url_to_node_config(host, use_default_ports_for_scheme=True) for host in hosts]
    if any(node.scheme == "https" for node in nodes):
        context = _ssl_context(options)
        nodes = [n.replace(ssl_context=context) if n.scheme == "https" else n for n in nodes]
    given: list[str | Mapping[str, str | int] | NodeConfig] = [*nodes]
    return AsyncElasticsearch(
        given,
        api_key=options.api_key or None,
        request_timeout=options.timeout_s,
        headers={"accept-encoding": "gzip"},
        max_retries=0,
        serializers={each.mimetype: each for each in _SERIALIZERS},
    )


def _ssl_context(options: Options) -> ssl.SSLContext:
    name, file = "ca_file", options.ca_file
    try:
        context = ssl.create_default_context(cafile=file)
        name, file = "client_certificate_file", options.client_certificate_file
        if file is not None:
            # Without a password, OpenSSL would ask the terminal for that of an encrypted key.
            context.load_cert_chain(file, options.client_key_file, password="")
    except ssl.SSLError:
        what = "no certificate in PEM"
        if name == "client_certificate_file":
            what += " with its key, unencrypted, there or in elasticsearch.client_key_file"
        raise ValueError(f"reading elasticsearch.{name} {file}: {what}") from None
    except OSError as fault:
        raise ValueError(f"reading elasticsearch.{name} {file}: {fault.strerror}") from None
    return context


def read_api_key(path: Path) -> str:
    """The key that a file holds, as Elasticsearch gave it: `encoded`, or `id:api_key`.

    Raises:
        ValueError: unreadable, or not one key. The message says nothing of what was read.
    """
    what = f"reading elasticsearch.api_key_file {path}"
    try:
        with path.open("rb") as file:
            key = file.read(_LONGEST_KEY + 1).strip()
    except OSError as fault:
        raise ValueError(f"{what}: {fault.strerror}") from None
    if not key:
        raise ValueError(f"{what}: it is empty: put the `encoded` value of an API key there")
    if len(key) > _LONGEST_KEY or _A_KEY.fullmatch(key) is None:
        raise ValueError(f"{what}: it must hold the `encoded` value of one API key and no more")
    return base64.b64encode(key).decode() if b":" in key else key.decode()


async def reach(client: AsyncElasticsearch) -> Reach:
    """Ask who is there, and hold its version against the client's.

    Raises:
        ApiError, TransportError: as the client does; `said` has the words.
    """
    try:
        # Without an Accept header: servers of another major refuse the client's.
        version = (await client.perform_request("GET", "/")).body["version"]
    except ApiError as error:
        if error.meta.status == 403:
            words = "Elasticsearch answers; give the key the privilege monitor to see its version"
            return Reach("", words, warning=True)
        if error.meta.status not in {404, 405}:
            raise
        path = "/_nodes/_local?filter_path=nodes.*.version"
        (node,) = (await client.perform_request("GET", path)).body["nodes"].values()
        version = {"number": node["version"]}
    number: str = version["number"]
    if version.get("build_flavor") == "serverless":
        return Reach(number, "Elasticsearch Serverless")
    if CLIENT_MAJOR <= int(number.partition(".")[0]) <= CLIENT_MAJOR + 1:
        return Reach(number, f"Elasticsearch {number}")
    return Reach(number, f"Elasticsearch {number}: {OTHER_MAJOR}", warning=True)
