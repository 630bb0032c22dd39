"""The one place that says what failures of Elasticsearch mean, and what to do next.

An error of the client comes in, or the refusal of one document among many; a Trouble goes out. No
key, no password and no value of a document may stand in its words: keys are never looked at, and a
reason is cut where it begins to quote.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Literal

import elastic_transport
import elasticsearch
import msgspec
from elastic_transport import (
    ApiError,
    ConnectionTimeout,
    SerializationError,
    SniffingError,
    TlsError,
    TransportError,
)
from elasticsearch import UnsupportedProductError

ERRORS = (ApiError, TransportError)
"""What the client raises for what is not a bug; `said` has words for each."""
CLIENT_MAJOR: int = elasticsearch.VERSION[0]
OTHER_MAJOR = (
    f"the client of major {CLIENT_MAJOR} speaks to servers of {CLIENT_MAJOR} and "
    f"{CLIENT_MAJOR + 1}: install the one of the server's major (pip install 'elasticsearch==N.*')"
)
LONGEST_WAIT_S = 3600.0
"""A Retry-After above this is cut, so that a wrong header cannot end the indexing."""
_LONGEST_REASON = 300
_WAIT_S = 1.0
_SLOW_WAIT_S = 10.0

Kind = Literal[
    "unreachable",  # nobody answers there
    "timeout",
    "broken",  # the connection ended before the answer did
    "tls",
    "login",  # 401
    "permission",  # 403
    "missing",  # 404: an index, a template, a path
    "conflict",  # 409
    "too_large",  # 413
    "busy",  # 429
    "read_only",  # writes are blocked, by a person or at a disk's flood stage
    "server",  # 5xx
    "product",  # not Elasticsearch
    "version",  # an Elasticsearch that does not speak to this client
    "document",  # 400: what was sent does not fit the mapping
    "request",  # another 4xx
    "answer",  # not what Elasticsearch answers
]

_AGAIN: Mapping[Kind, float] = {
    "unreachable": _WAIT_S,
    "timeout": _WAIT_S,
    "broken": _WAIT_S,
    "busy": _WAIT_S,
    "server": _WAIT_S,
    "answer": _SLOW_WAIT_S,
    "read_only": _SLOW_WAIT_S,
}
"""What may pass by itself, and the least wait; the others wait for a person."""

_QUOTE = re.compile(r"Preview of field's value|The prefix of the first immense term|at \[Source")
"""Where a reason begins to repeat what stood in a document."""
_PRIVILEGES = re.compile(r"granted by the (index|cluster) privileges (\[[\w,:/*-]+\])")
_ON_INDICES = re.compile(r"on indices (\[[^\]]*\])")
_NOT_OF_THE_DOCUMENT = {
    "index_closed_exception",
    "invalid_alias_name_exception",
    "invalid_index_name_exception",
    "validation_exception",  # such as: no more shards are allowed
}
_OF_THE_INDEX = re.compile(r"op_type|pipeline|alias|write index|data stream \[")


class Trouble(msgspec.Struct, frozen=True):
    """Why Elasticsearch did not do what was asked, and what to do next."""

    kind: Kind
    words: str
    retry: bool
    """Whether it may pass without a person."""
    retry_after_s: float | None = None
    """The least wait, where it may."""


class Cause(msgspec.Struct, frozen=True):
    """What Elasticsearch says of an error; both "" where it was not Elasticsearch that spoke."""

    type: str = ""
    reason: str | None = ""

    @classmethod
    def of(cls, body: object) -> "Cause":
        """The cause in the body of an answer."""
        error = body.get("error") if isinstance(body, Mapping) else None
        if not isinstance(error, Mapping):
            return cls()
        return cls(str(error.get("type") or ""), str(error.get("reason") or ""))

    @property
    def words(self) -> str:
        """Type and reason, without the values of a document that some reasons quote."""
        reason = " ".join(_QUOTE.split(self.reason or "", maxsplit=1)[0].split())
        reason = reason[:_LONGEST_REASON].rstrip(" .;")
        return ": ".join(filter(None, (self.type, reason)))


def said(error: Exception) -> Trouble:
    """What an error of the client means.

    Raises:
        TypeError: it is none of ERRORS: a bug, which nobody should wait for.
    """
    if isinstance(error, UnsupportedProductError):
        return trouble(
            "product",
            "what answers is not Elasticsearch, or a proxy hides its X-Elastic-Product header: "
            "is elasticsearch.hosts right?",
        )
    if isinstance(error, ApiError):
        wait = error.meta.headers.get("retry-after")
        return refused(error.meta.status, Cause.of(error.body), wait)
    for known, explain in _TRANSPORT.items():
        if isinstance(error, known):
            return explain(error)
    raise TypeError(f"explaining {type(error).__name__}: no error of the client") from error


def trouble(kind: Kind, words: str, retry_after: str | None = None) -> Trouble:
    """A trouble that waits as long as its kind does, or as the server's Retry-After says."""
    if kind not in _AGAIN:
        return Trouble(kind, words, retry=False)
    wait_s = _AGAIN[kind]
    if retry_after is not None and retry_after.isascii() and retry_after.isdigit():
        wait_s = min(max(wait_s, float(retry_after[:12])), LONGEST_WAIT_S)
    return Trouble(kind, words, retry=True, retry_after_s=wait_s)


def refused(status: int, cause: Cause, retry_after: str | None = None) -> Trouble:
    """What a status outside 2xx means, of a whole request or of one document in it."""
    kind: Kind
    words = cause.words or f"HTTP {status}"
    if cause.type == "cluster_block_exception" and status != 503:
        kind, words = "read_only", f"{words}: {_unblock(cause)}"
    elif cause.type == "media_type_header_exception":
        kind, words = "version", f"{cause.type}: {OTHER_MAJOR}"
    elif status == 400 and _is_of_the_document(cause):
        kind = "document"
    elif status == 401:
        kind = "login"
        words = "Elasticsearch does not accept the key: renew the one in elasticsearch.api_key_file"
    elif status == 403:
        kind, words = "permission", _lacking(cause)
    elif status == 404:
        kind = "missing"
        words = f"{words}: run `breachline es setup`; is the path in elasticsearch.hosts right?"
    elif status == 408:
        kind, words = "timeout", f"{words}: a proxy on the way waited too long for the request"
    elif status == 409:
        kind = "conflict"
    elif status == 413:
        kind = "too_large"
        words = f"{words}: more than http.max_content_length, or than a proxy on the way, lets in"
    elif status == 429:
        kind, words = "busy", f"{words}: Elasticsearch has more to do than it can take"
    elif status >= 500:
        kind, words = "server", f"{words}: the log of Elasticsearch, or of a proxy, says why"
    elif cause.type:
        kind, words = "request", f"{words}: Elasticsearch is set up so: change it there"
    else:
        kind, words = "request", f"{words}: is elasticsearch.hosts right?"
    return trouble(kind, words, retry_after)


def _unblock(cause: Cause) -> str:
    if "flood-stage" in cause.words:
        return "free disk space or add a node; Elasticsearch then lifts the block by itself"
    return "a person set this block: lift it (index.blocks.*), and indexing goes on"


def _is_of_the_document(cause: Cause) -> bool:
    """Whether another document could have passed in its place."""
    if cause.type in _NOT_OF_THE_DOCUMENT or not cause.type:
        return False
    return cause.type != "illegal_argument_exception" or not _OF_THE_INDEX.search(cause.words)


def _lacking(cause: Cause) -> str:
    """The privileges in a refusal; the rest of it names users and keys."""
    reason = cause.reason or ""
    found, on = _PRIVILEGES.search(reason), _ON_INDICES.search(reason)
    if found is None:
        return "the key may not do this: give it the privileges that Breachline's roles list"
    where = f" on {on[1]}" if on else ""
    return f"the key may not do this{where}: give it one of the {found[1]} privileges {found[2]}"


def _unreachable(error: Exception) -> Trouble:
    for cause in _causes(error):
        host, port = getattr(cause, "host", None), getattr(cause, "port", None)
        if host and port:
            words = f"nobody answers at {host}:{port}"
            do = "does Elasticsearch run, and is elasticsearch.hosts right?"
            return trouble("unreachable", f"{words}: {do}")
    return trouble(
        "broken",
        "the connection ended before the answer: Elasticsearch or a proxy closed it; if always, "
        "is it https where elasticsearch.hosts says http?",
    )


def _tls(error: Exception) -> Trouble:
    for cause in _causes(error):
        # aiohttp's own error is of this class too, and has no such message.
        if why := getattr(cause, "verify_message", "").rstrip("."):
            do = "set elasticsearch.ca_file to its authority"
            if "mismatch" in why:
                do = "write a host in elasticsearch.hosts that it was made for"
            elif "expired" in why:
                do = "renew it"
            return trouble("tls", f"the certificate of Elasticsearch is not trusted ({why}): {do}")
    return trouble(
        "tls",
        "TLS failed: is it http where elasticsearch.hosts says https, or does it want another "
        "elasticsearch.client_certificate_file?",
    )


def _causes(error: BaseException) -> Iterator[BaseException]:
    """It and what stands behind it; the client empties its own list of these."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__


_TRANSPORT: Mapping[type[Exception], Callable[[Exception], Trouble]] = {
    TlsError: _tls,
    elastic_transport.ConnectionError: _unreachable,
    ConnectionTimeout: lambda _: trouble(
        "timeout",
        "no answer within elasticsearch.timeout: the server is overloaded, or the time too short",
    ),
    SerializationError: lambda _: trouble(
        "answer", "the answer is none of Elasticsearch's: is a proxy in between?"
    ),
    SniffingError: lambda _: trouble("answer", "Elasticsearch told no nodes"),
    TransportError: lambda _: trouble("broken", "the request failed on the way"),
}
"""The most specific first."""
