"""What people may write about evidence: the history, Elasticsearch, the ledger.

Values that may be secrets are never repeated in a message.
"""

from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field

from intake.settings import Settings as Block
from records.durations import Seconds

_SIZES = {"KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12, "KIB": 2**10, "MIB": 2**20}
_SIZES |= {"GIB": 2**30, "TIB": 2**40, "B": 1, "": 1}


def _parse_size(value: object) -> object:
    if not isinstance(value, str):
        return value
    digits = value.strip().rstrip("KMGTIBkmgtib ")
    unit = value.strip()[len(digits) :].strip().upper()
    if not digits.isdecimal() or unit not in _SIZES:
        raise ValueError(f"{value!r} is not a size: write 500MB, 10GB or bytes")
    return int(digits) * _SIZES[unit]


def _url(text: str) -> str:
    try:
        parts = urlsplit(text)
    except ValueError:
        raise ValueError("not a URL: write http://host:port or https://host") from None
    if parts.username is not None or parts.password is not None:
        raise ValueError("take user and password out of the URL, and use api_key_file")
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("not an http or https URL: write http://host:port or https://host")
    return text.rstrip("/")


Size = Annotated[int, BeforeValidator(_parse_size)]
"""Bytes, written as a number, 500MB or 10GB."""
Url = Annotated[str, AfterValidator(_url)]


class History(Block):
    """`history:` the access events that are kept for search, capture and long look-backs."""

    enabled: bool = True
    max_age: Seconds = Field(default=30 * 86_400, gt=0)
    max_bytes: Size = Field(default=10 * 10**9, gt=0)


class Capture(Block):
    """`capture:` how much of one incident is kept; what is beyond is counted, never silently."""

    max_lines: int = Field(default=100_000, ge=1)
    """Of requests that the incident rests on."""
    max_other_lines: int = Field(default=10_000, ge=0)
    """Of its actors' other requests, the newest."""
    max_bytes: Size = Field(default=200 * 10**6, ge=1)
    """Of all of them."""


class Elasticsearch(Block):
    """`elasticsearch:` where findings and evidence are indexed."""

    hosts: list[Url] = Field(min_length=1)
    api_key_file: Path | None = None
    ca_file: Path | None = None
    client_certificate_file: Path | None = None
    client_key_file: Path | None = None
    timeout: Seconds = Field(default=30, gt=0)
    """Of one request; a bulk request is one."""
    retention: Seconds = Field(default=730 * 86_400, gt=0)
    """Of findings and actions; evidence is kept until a person removes it."""
    history: list[str] = Field(default_factory=list)
    """Index patterns of ECS access logs that somebody else ships, for looking back."""
    kibana: Url | None = None
    """Where people open it, for links."""


class Publish(Block):
    """`ledger.publish:` second places where signed heads stand, out of the store's reach."""

    file: Path | None = None
    elasticsearch: bool = True
    webhook: Url | None = None
    webhook_token_env: str = ""


class Ledger(Block):
    """`ledger:` the log that proves itself: its name, its key, and who else is told its heads."""

    namespace: str = Field(default="default", pattern=r"^[A-Za-z0-9._-]+$")
    log: str = Field(default="evidence", pattern=r"^[A-Za-z0-9._-]+$")
    key_file: Path | None = None
    """The private key; without it data_dir/keys/ledger.key, made at the first start."""
    publish: Publish = Publish()

    @property
    def origin(self) -> str:
        """Of its heads, and the name of its key (C2SP tlog-checkpoint)."""
        return f"breachline/{self.namespace}/{self.log}"
