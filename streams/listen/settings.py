"""What people configure under `listen:`, validated once.

A secret is never a setting: a setting names the place where the secret is. Input is left out of
messages, because people paste tokens into the wrong field.
"""

from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from evidence.settings import Size
from intake.settings import Settings
from responders.settings import EnvName
from streams.hostport import HostPort

_HIDDEN = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


def is_loopback(address: str) -> bool:
    """Whether host:port can be reached from this machine alone."""
    host = address.rpartition(":")[0].strip("[]")
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _ip_port(text: str) -> str:
    host = text.rpartition(":")[0].strip("[]")
    if host != "localhost":
        try:
            ip_address(host)
        except ValueError:
            raise ValueError(
                f"{text!r}: an address to listen on is an IP address: 0.0.0.0 for all of IPv4, "
                "[::] for all"
            ) from None
    return text


Listen = Annotated[HostPort, AfterValidator(_ip_port)]
"""An IP address of this machine, and a port."""


class _Certified(Settings):
    """What has a certificate of its own, in PEM."""

    model_config = _HIDDEN

    certificate_file: Path | None = Field(default=None, description="PEM, with its chain")
    key_file: Path | None = Field(default=None, description="its key, without a passphrase")

    @model_validator(mode="after")
    def _pair(self) -> "_Certified":
        if self.key_file and not self.certificate_file:
            raise ValueError("key_file needs certificate_file beside it")
        return self


class Http(_Certified):
    """`listen.http:` bulk calls of log shippers, and lines as they are."""

    address: Listen = "127.0.0.1:8088"
    token_env: EnvName | None = Field(default=None, description="variable that holds the token")
    token_file: Path | None = Field(default=None, description="file that holds the token")
    max_body: Size = Field(
        default=64 << 20, ge=1 << 10, description="of one request, as sent and unpacked"
    )

    @model_validator(mode="after")
    def _guarded(self) -> "Http":
        if self.token_env and self.token_file:
            raise ValueError("give token_env or token_file, not both")
        if not self.has_token and not is_loopback(self.address):
            raise ValueError(
                f"{self.address} can be reached from other machines: give token_env or "
                "token_file, or listen on 127.0.0.1"
            )
        return self

    @property
    def has_token(self) -> bool:
        """Whether senders have to know a token."""
        return bool(self.token_env or self.token_file)


class Syslog(_Certified):
    """One of `listen.syslog:`, lines as syslog messages (RFC 3164, RFC 5424)."""

    address: Listen = "127.0.0.1:5514"
    protocol: Literal["udp", "tcp", "tls"] = "udp"
    ca_file: Path | None = Field(
        default=None, description="authorities whose certificates senders must show"
    )

    @model_validator(mode="after")
    def _certified(self) -> "Syslog":
        if self.protocol == "tls" and not self.certificate_file:
            raise ValueError("protocol tls needs certificate_file and key_file")
        if self.protocol != "tls" and (self.certificate_file or self.ca_file):
            raise ValueError(f"certificates are for protocol tls, and this is {self.protocol}")
        return self


class Journald(Settings):
    """`listen.journald:` lines that services of this machine write to the journal."""

    units: list[Annotated[str, Field(min_length=1)]] = Field(
        min_length=1, description="units whose messages are read, such as caddy.service"
    )
    directory: Path | None = Field(
        default=None, description="of the journal's files, where it is not this machine's own"
    )


class ListenSettings(Settings):
    """`listen:` of breachline.yaml: what `run` and `ship` read besides files."""

    http: Http | None = None
    syslog: list[Syslog] = Field(default_factory=list)
    journald: Journald | None = None
    max_waiting: Size = Field(
        default=64 << 20,
        ge=1 << 16,
        description="of lines not yet durable, from all of them; beyond it senders have to wait",
    )

    @property
    def is_any(self) -> bool:
        """Whether there is anything to listen to."""
        return bool(self.http or self.syslog or self.journald)
