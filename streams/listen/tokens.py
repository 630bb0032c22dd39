"""Whether a sender knows the token: however the shipper at hand can be told to show one.

An Authorization header comes in, yes or no goes out. The token is read at each call, so that a
rotated file is taken up. It MUST NOT show the token or what was sent to anybody.
"""

import base64
import binascii
import hmac
from collections.abc import Iterator, Mapping

from streams.listen.settings import Http


class Tokens:
    """What senders have to show at one address."""

    def __init__(self, settings: Http, environ: Mapping[str, str]) -> None:
        self._settings = settings
        self._environ = environ

    def check(self) -> None:
        """Says why nobody could ever be let in.

        Raises:
            ValueError: there is no token where the configuration says.
        """
        if self._settings.has_token and not self._token():
            name = self._settings.token_env
            where = f"set ${name}" if name else f"write it into {self._settings.token_file}"
            raise ValueError(f"listen.http: the token is missing or empty: {where}")

    def admit(self, authorization: str) -> bool:
        """Whether whoever sends this header may send lines; all may where there is no token.

        Bearer TOKEN, ApiKey TOKEN (or base64 of any:TOKEN), Basic of any user and TOKEN.
        """
        if not self._settings.has_token:
            return True
        token = self._token()
        # All of them, whichever fits: how long it takes says nothing.
        shown = [hmac.compare_digest(token, each) for each in _shown(authorization)]
        return bool(token) and any(shown)

    def _token(self) -> bytes:
        settings = self._settings
        try:
            text = (
                settings.token_file.read_text("utf-8")
                if settings.token_file
                else self._environ.get(settings.token_env or "", "")
            )
        except (OSError, UnicodeDecodeError):  # the latter quotes the bytes, which are the token
            text = ""
        return text.strip().encode("utf-8", "surrogatepass")


def _shown(authorization: str) -> Iterator[bytes]:
    scheme, _, value = authorization.partition(" ")
    plain = value.strip().encode("utf-8", "surrogateescape")
    match scheme.lower():
        case "bearer":
            yield plain
        case "apikey":
            yield plain
            decoded = _decoded(plain)
            yield decoded
            yield decoded.partition(b":")[2]
        case "basic":
            yield _decoded(plain).partition(b":")[2]


def _decoded(text: bytes) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""
