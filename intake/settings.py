"""What people configure under `intake:` and `canaries:` (CONTRACT 2), validated once."""

from datetime import datetime
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator

from intake.formats._apache_layout import apache_layout
from intake.formats._nginx_layout import nginx_layout
from records.durations import Seconds


def _network(text: str) -> str:
    return str(ip_network(text, strict=False))


Network = Annotated[str, AfterValidator(_network)]
"""An address or CIDR network, as text in canonical form."""


class Settings(BaseModel):
    """A block of the configuration: unknown names are errors, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Fields(Settings):
    """Dotted paths in a JSON record, only what differs from the defaults."""

    time: str | None = None
    client_ip: str | None = None
    forwarded_for: str | None = None
    method: str | None = None
    target: str | None = Field(default=None, description="request target: path and query")
    status: str | None = None
    bytes: str | None = None
    host: str | None = None
    user_agent: str | None = None
    referer: str | None = None
    request_id: str | None = None
    principal: str | None = Field(default=None, description="gives provenance `gateway`")
    claimed_user: str | None = None
    session: str | None = Field(default=None, description="kept as a keyed digest only")
    authorization: str | None = Field(default=None, description="kept as a keyed digest only")
    jwt_payload: str | None = None
    target_user: str | None = Field(default=None, description="the owner that the service logged")
    tenant: str | None = None
    context_error: str | None = None
    origin: str | None = None
    fetch_site: str | None = None
    upstream_status: str | None = None
    client: str | None = Field(
        default=None, description="client address that one proxy set, such as CF-Connecting-IP"
    )
    forwarded: str | None = Field(default=None, description="the Forwarded header of RFC 7239")
    trace_id: str | None = None
    location: str | None = Field(default=None, description="Location header of the answer")
    blocked_by: str | None = Field(default=None, description="what refused it at the gateway")


class LogFormat(Settings):
    """Log formats of servers, as their own configuration writes them; lines of any are read."""

    nginx: list[str] = Field(default_factory=list, description="$remote_addr ... of log_format")
    apache: list[str] = Field(default_factory=list, description="%h ... of LogFormat")

    @field_validator("*", mode="before")
    @classmethod
    def _one_or_several(cls, value: object) -> object:
        return [value] if isinstance(value, str) else value

    @field_validator("nginx")
    @classmethod
    def _of_nginx(cls, value: list[str]) -> list[str]:
        for text in value:
            nginx_layout(text)
        return value

    @field_validator("apache")
    @classmethod
    def _of_apache(cls, value: list[str]) -> list[str]:
        for text in value:
            apache_layout(text)
        return value


class BlockAnswer(Settings):
    """What our own block answers: a request so refused reached nobody's data."""

    status: int
    bytes: int | None = None
    blocked_by: str | None = None


class Join(Settings):
    """Logs whose lines tell of the same requests: shell patterns of the names of their sources."""

    gateway: list[str]
    service: list[str]
    window: Seconds = Field(default=10, gt=0, le=40)
    """A half waits for 45 s at most, and lines of one log are out of order by up to 5."""


class Trust(Settings):
    """What the owner of this log vouches for."""

    principal: Literal["gateway", "asserted"] = "asserted"


class Jwt(Settings):
    """How a principal is read from a token."""

    claim: str = "sub"
    jwks: Path | None = Field(default=None, description="public keys of the issuers (RFC 7517)")
    issuers: list[str] = Field(
        default_factory=list,
        description="whose subjects are the users that paths name; others are ISSUER#SUBJECT",
    )
    audience: str | None = Field(default=None, description="for whom verified tokens must be")


class IdentityHeader(Settings):
    """A header in which a caller says who they are; what is `never` honoured says nothing."""

    name: str = "X-User-ID"
    honoured: Literal["unknown", "always", "never"] = "unknown"


class Identities(Settings):
    """Columns id,user: every id of a person -> one canonical user.

    An id may be `ISSUER#SUBJECT`, for tokens of issuers that `jwt.issuers` does not name, or
    `TENANT/ID`, for an id that one tenant alone has so.
    """

    file: Path


class RouteRule(Settings):
    """One route: {owner}, {object}, {tenant} in the path or as query values; `**` for any rest."""

    match: str
    category: str | None = None
    owner: list[str] = Field(default_factory=list, description="roles of the object's owners")
    public: bool = False
    effect: Literal["read", "write"] | None = None
    error_bytes: int | None = Field(default=None, description="size of a 200 that is an error")

    @field_validator("match")
    @classmethod
    def _rooted(cls, value: str) -> str:
        if not value.startswith("/"):
            raise ValueError(f"route {value!r} must begin with /")
        return value


class Ownership(Settings):
    """Whose object is it? One of `file`, `http`, `learn`."""

    route: str
    file: Path | None = None
    object: str = "object"
    owner: str = "owner"
    http: str | None = None
    """{object} in the URL; with {objects}, a comma list, several are asked for at once."""
    token_env: str | None = None
    token_file: Path | None = None
    ca_file: Path | None = None
    batch: int = Field(default=100, ge=1, le=1000)
    timeout: Seconds = 5
    learn: bool = False


class ServiceAccount(Settings):
    """A machine principal, bound to networks and routes."""

    id: str
    from_: list[Network] = Field(default_factory=list, alias="from")
    routes: list[str] = Field(default_factory=list)


class Grants(Settings):
    """Columns principal,owner,routes,from,until."""

    file: Path


class Canaries(Settings):
    """Listed, unlinked, random ids that nobody has a reason to ask for."""

    ids: list[str] = Field(default_factory=list)


class IntakeSettings(Settings):
    """`intake:` of breachline.yaml."""

    trusted_proxies: list[Network] = Field(default_factory=list)
    trust: Trust = Trust()
    fields: Fields = Fields()
    jwt: Jwt = Jwt()
    identity_headers: list[IdentityHeader] = Field(default_factory=lambda: [IdentityHeader()])
    internal_headers: list[str] = Field(default_factory=list)
    identities: Identities | None = None
    routes: list[RouteRule] = Field(default_factory=list)
    ownership: list[Ownership] = Field(default_factory=list)
    sensitive: list[str] = Field(default_factory=list)
    service_accounts: list[ServiceAccount] = Field(default_factory=list)
    delegates: list[str] = Field(default_factory=list)
    grants: Grants | None = None
    log_format: LogFormat = LogFormat()
    own_blocks: list[BlockAnswer] = Field(default_factory=list)
    join: Join | None = None
    openapi: Path | None = Field(default=None, description="an OpenAPI file: a source of routes")

    @field_validator("service_accounts", mode="before")
    @classmethod
    def _bare_names(cls, value: object) -> object:
        if not isinstance(value, list):
            return value
        return [{"id": item} if isinstance(item, str) else item for item in value]


class GrantRow(Settings):
    """One row of the grants file; an empty bound is open."""

    principal: str
    owner: str
    routes: str = "**"
    from_: datetime | None = Field(default=None, alias="from")
    until: datetime | None = None
