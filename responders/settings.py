"""What people configure of the enforcement points (CONTRACT 2, `respond.gateway`), validated once.

A secret is never a setting: a setting names the place where the secret is. Input is left out of
messages, because people paste tokens and passwords into the wrong field.
"""

from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, ConfigDict, Field, model_validator
from pydantic_core import Url

from intake.settings import Settings
from records.durations import Seconds

_NO_URL = "not a URL: write http://host:port or https://host"


def _base_url(text: str) -> str:
    if not text.isprintable():
        raise ValueError(_NO_URL)
    try:
        parts = urlsplit(text)
        url = Url(text) if parts.scheme in {"http", "https"} and parts.hostname else None
    except ValueError:  # also pydantic's own, which would quote the text
        raise ValueError(_NO_URL) from None
    if url is None:
        raise ValueError("not an http or https URL: write http://host:port or https://host")
    if url.username is not None or url.password is not None:
        raise ValueError("take user and password out of the URL, and use token_env or token_file")
    if url.query is not None or url.fragment is not None:
        raise ValueError("a base URL has no query and no fragment")
    return str(url).rstrip("/")


BaseUrl = Annotated[str, AfterValidator(_base_url)]
"""http or https, no credentials, no trailing slash."""

UrlPath = Annotated[str, Field(pattern=r"^/[!-~]*$")]
"""An absolute path in printable ASCII."""

EnvName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
"""The name of an environment variable; most tokens pasted by mistake do not fit."""


class GatewaySettings(Settings):
    """`respond.gateway`: where addresses are blocked, and where its token is to be found."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    url: BaseUrl
    token_env: EnvName | None = Field(default=None, description="variable that holds the token")
    token_file: Path | None = Field(default=None, description="file that holds the token")
    ca_file: Path | None = Field(default=None, description="PEM of the CA, if a private one")
    block_path: UrlPath = "/admin/block-ip"
    unblock_path: UrlPath = "/admin/unblock-ip"
    list_path: UrlPath = "/admin/blocked-ips"
    timeout: Seconds = Field(default=5.0, gt=0, le=8)
    """Seconds for one whole call. A perform makes three, which must end within a lease of 30 s."""

    @model_validator(mode="after")
    def _one_token(self) -> "GatewaySettings":
        if self.token_env and self.token_file:
            raise ValueError("give token_env or token_file, not both")
        return self

    @property
    def token_name(self) -> str:
        """Where the token is, as messages say it: $GATEWAY_TOKEN or a path; "" if nowhere."""
        return f"${self.token_env}" if self.token_env else str(self.token_file or "")
