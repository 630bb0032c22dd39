"""What people configure under `kafka:` (CONTRACT 2), validated once.

A secret is never a setting: a setting names the place where the secret is. Input is left out of
messages, because people paste passwords into the wrong field.
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, model_validator

from intake.settings import Settings
from responders.settings import EnvName
from streams.hostport import HostPort

_HIDDEN = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

Prefix = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]*$", max_length=200)]
"""The letters that Kafka allows in a topic's name, short enough for the longest name of ours."""


class Sasl(Settings):
    """How the service signs in at the brokers; the password itself is never a setting."""

    model_config = _HIDDEN

    mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "SCRAM-SHA-512"
    username: str = Field(min_length=1)
    password_env: EnvName | None = Field(
        default=None, description="variable that holds the password"
    )
    password_file: Path | None = Field(default=None, description="file that holds the password")


class Tls(Settings):
    """Files in PEM. An empty block, `tls: {}`, is TLS with the authorities of this system."""

    model_config = _HIDDEN

    ca_file: Path | None = Field(
        default=None, description="authorities that the brokers' certificates come from"
    )
    cert_file: Path | None = Field(default=None, description="this client's own certificate")
    key_file: Path | None = Field(
        default=None, description="its key, without a passphrase; may stand in cert_file instead"
    )

    @model_validator(mode="after")
    def _key_has_its_certificate(self) -> "Tls":
        if self.key_file and not self.cert_file:
            raise ValueError("key_file needs cert_file beside it")
        return self


class Kafka(Settings):
    """`kafka:` where the deployment's topics are, and how the workers share them."""

    model_config = _HIDDEN

    brokers: list[HostPort] = Field(
        min_length=1, description="some of the brokers, host:port; they name the others"
    )
    prefix: Prefix = Field(
        default="breachline.", description="how the name of each topic begins: one deployment"
    )
    group: str = Field(
        default="breachline",
        min_length=1,
        description="consumer group of the workers: those of one group share the partitions",
    )
    partitions: int = Field(
        default=4,
        ge=1,
        le=1024,
        description="of access.raw and signals, at creation: as many workers can share the load",
    )
    replication_factor: int | None = Field(
        default=None,
        ge=1,
        le=32_767,
        description="copies of each topic, at creation; without it 3, or one for each broker",
    )
    session_timeout_s: float = Field(
        default=10, gt=0, description="a worker silent for so long gives its partitions away"
    )
    commit_ms: int = Field(
        default=150,
        ge=10,
        le=10_000,
        description="from one transaction of a task to its next: longer is cheaper and later",
    )
    sasl: Sasl | None = None
    tls: Tls | None = None
