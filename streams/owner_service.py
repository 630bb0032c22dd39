"""One ownership service over HTTP: objects in, what it says of their owners out.

It is asked by GET and answers JSON: {"owner": "u-17"}, {"owners": ["u-17", "u-18"]}, and for
several objects {"ord-1": "u-17", ...} or {"owners": {"ord-1": ["u-17"], ...}}. 404 is "no such
object". No answer is ever guessed from a fault, a fault never raises, and no message holds a token
or a URL.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

import httpx
import msgspec
import orjson

from incidents.owners import Leave
from intake.ownership import Grant, Tables
from intake.patterns import compile_route
from intake.settings import IntakeSettings, Ownership
from intake.spaces import canonical_id
from responders._base import (
    QUICK_S,
    SLOW_S,
    TRANSPORT_FAULTS,
    retry_after_s,
    tls_words,
)  # fmt: skip
from streams.owner_url import host_of, takes_several, url_of

_MAX_BYTES = 8 << 20
_NO_SUCH = frozenset({404, 410})
_NOT_TAKEN = frozenset({400, 406, 413, 414, 422, 431})
"""It is this request that the service does not like; another may be fine."""
_SHAPE = 'its answer is not what was agreed: {"owner": "u-17"} or {"owners": [...]}'
_SEVERAL_SHAPE = 'its answer is not what was agreed: {"ord-1": "u-17", ...}'


class Trouble(msgspec.Struct, frozen=True):
    """Why there is no answer, and when it can help to ask again."""

    says: str
    retry_after_s: float
    objects_only: bool = False
    """The service is well, and does not take these objects."""

    @property
    def passes(self) -> bool:
        """Whether it may end by itself; else a person has to mend something."""
        return self.retry_after_s < SLOW_S


class Said(msgspec.Struct):
    """What came of one request."""

    owners: dict[str, tuple[str, ...]] = {}
    """Object -> canonical users; empty where it is nobody's, or there is no such object."""
    again: tuple[str, ...] = ()
    """Objects to be asked for one by one: the answer does not say which of them it is about."""
    trouble: Trouble | None = None


class Service:
    """Asks one service; holds no state but its client."""

    def __init__(
        self,
        source: Ownership,
        client: httpx.AsyncClient,
        environ: Mapping[str, str],
        tables: Tables,
    ) -> None:
        """`tables` say which ids are one person's, and who may see whose data."""
        if source.http is None:
            raise ValueError(f"asking for owners of {source.route}: it has no `http`")
        self.route = source.route
        self.host = host_of(source.http)
        self.batch = source.batch if takes_several(source.http) else 1
        self._source = source
        self._template = source.http
        self._client = client
        self._environ = environ
        self._people = tables.people
        path = source.route.partition("?")[0].removesuffix("/**")
        self._path = path
        self._grants = [
            (compile_route(grant.routes), self._leave(grant))
            for grant in tables.grants
            if grant.owner != "*"
        ]

    def _leave(self, grant: Grant) -> Leave:
        owner, principal = (self._people.get(i, i) for i in (grant.owner, grant.principal))
        return Leave(owner, principal, grant.from_ms, grant.until_ms)

    def leaves(self, item: str, owners: tuple[str, ...]) -> tuple[Leave, ...]:
        """Grants of these owners for this object."""
        if not self._grants:
            return ()
        path = self._path.replace("{object}", item)
        return tuple(
            [
                leave
                for pattern, leave in self._grants
                if leave.owner in owners and pattern.match(path, "") is not None
            ]
        )

    async def ask(self, objects: Sequence[str], now_ms: int) -> Said:
        """What it says of these objects, at most `batch` of them."""
        found = await self._get(url_of(self._template, objects), now_ms)
        if isinstance(found, Trouble):
            if found.objects_only and len(objects) > 1:
                return Said(again=tuple(objects))
            return Said(trouble=found)
        if found is None:
            return Said(again=tuple(objects)) if len(objects) > 1 else Said({objects[0]: ()})
        try:
            document = orjson.loads(found)
        except orjson.JSONDecodeError:
            return Said(trouble=self._trouble("its answer is no JSON"))
        try:
            if len(objects) == 1:
                return Said({objects[0]: self._one(document, objects[0])})
            return self._several(document, objects)
        except ValueError as error:
            return Said(trouble=self._trouble(str(error)))

    def _one(self, document: object, item: str) -> tuple[str, ...]:
        if not isinstance(document, dict):
            raise ValueError(_SHAPE)  # noqa: TRY004  the service is wrong, not its caller
        if "owner" in document:
            return self._users(document["owner"])
        named = document.get("owners", document)
        if isinstance(named, dict):
            return self._users(_by_id(named).get(item))
        return self._users(named)

    def _several(self, document: object, objects: Sequence[str]) -> Said:
        named = document.get("owners", document) if isinstance(document, dict) else None
        if not isinstance(named, dict):
            raise ValueError(_SEVERAL_SHAPE)  # noqa: TRY004  as above
        found = _by_id(named)
        if found and found.keys().isdisjoint(objects):
            raise ValueError(_SEVERAL_SHAPE)
        said = Said({item: self._users(found[item]) for item in objects if item in found})
        # Left out may mean that it is nobody's, or that the answer was cut short.
        said.again = tuple([item for item in objects if item not in found])
        return said

    def _users(self, value: object) -> tuple[str, ...]:
        values = value if isinstance(value, list) else [] if value is None else [value]
        if any(isinstance(one, bool) or not isinstance(one, str | int) for one in values):
            raise ValueError(_SHAPE)
        ids = {canonical_id(str(one)) for one in values} - {""}
        return tuple(sorted({self._people.get(one, one) for one in ids}))

    async def _get(self, url: str, now_ms: int) -> bytes | Trouble | None:
        """The body of a 2xx, None for "no such object"."""
        timeout_s = self._source.timeout
        # identity: nothing to inflate, so the limit holds before memory is spent
        headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
        token = self._token()
        if isinstance(token, Trouble):
            return token
        if token:
            headers["Authorization"] = f"Bearer {token}"
        body = bytearray()
        try:
            async with (
                asyncio.timeout(timeout_s),  # httpx bounds each read, this bounds a slow drip
                self._client.stream(
                    "GET", url, headers=headers, follow_redirects=False, timeout=timeout_s
                ) as answer,
            ):
                status = answer.status_code
                if not 200 <= status < 300:
                    return self._status(status, answer.headers.get("Retry-After"), now_ms)
                async for chunk in answer.aiter_bytes():
                    body += chunk
                    if len(body) > _MAX_BYTES:
                        return self._trouble(f"its answer exceeds {_MAX_BYTES} bytes")
        except (httpx.RequestError, httpx.InvalidURL, TimeoutError, OSError) as error:
            return self._fault(error)
        return bytes(body)

    def _status(self, status: int, wait: str | None, now_ms: int) -> Trouble | None:
        if status in _NO_SUCH:
            return None
        if status in _NOT_TAKEN:
            return self._trouble(f"does not take the object ({status})", objects_only=True)
        if status in {401, 403}:
            name = self._token_name or "token_env or token_file of this source"
            return self._trouble(f"wants another token ({status}): set {name}")
        if status == 429:
            wait_s = retry_after_s(wait, now_ms)
            return self._trouble(f"asks to wait {wait_s:g} s (429)", wait_s)
        if status >= 500:
            return self._trouble(f"failed ({status})", retry_after_s(wait, now_ms))
        if 300 <= status < 400:
            return self._trouble(f"redirects ({status}), which is not followed: correct `http`")
        return self._trouble(f"did not accept the request ({status}): correct `http`")

    def _fault(self, error: Exception) -> Trouble:
        if isinstance(error, httpx.InvalidURL):
            return self._trouble("cannot be asked for such an object", objects_only=True)
        if tls := tls_words(error, "ca_file", "is `http` https where the service is?"):
            return self._trouble(tls)
        if isinstance(error, httpx.ConnectError):
            return self._trouble("cannot be connected to: is it running?", QUICK_S)
        known = next(TRANSPORT_FAULTS[c] for c in type(error).__mro__ if c in TRANSPORT_FAULTS)
        words = known.format(timeout_s=self._source.timeout)
        return self._trouble(words.replace("respond.gateway.url", "`http`"), QUICK_S)

    def _trouble(
        self, words: str, wait_s: float = SLOW_S, *, objects_only: bool = False
    ) -> Trouble:
        return Trouble(f"{self.host}: {words}", wait_s, objects_only)

    @property
    def _token_name(self) -> str:
        source = self._source
        return f"${source.token_env}" if source.token_env else str(source.token_file or "")

    def _token(self) -> str | Trouble:
        """The token as it is now, so that a rotated one is taken up."""
        source = self._source
        if not self._token_name:
            return ""
        try:
            file = source.token_file
            text = (
                file.read_text("utf-8") if file else self._environ.get(source.token_env or "", "")
            )
        except (OSError, UnicodeDecodeError):
            text = ""
        text = text.strip()
        if not text or not (text.isascii() and text.isprintable()) or " " in text:
            return self._trouble(f"is not asked: {self._token_name} holds no token")
        return text


def _by_id(named: Mapping[object, object]) -> dict[str, object]:
    return {canonical_id(str(item)): value for item, value in named.items()}


@asynccontextmanager
async def services(
    settings: IntakeSettings, tables: Tables, environ: Mapping[str, str]
) -> AsyncIterator[list[Service]]:
    """The services of a configuration, until the end of the block; none is asked for it.

    Raises:
        ValueError: a `ca_file` cannot be read or holds no certificate.
    """
    async with AsyncExitStack() as stack:
        found: dict[str, Service] = {}
        for source in settings.ownership:
            if source.http is not None and source.route not in found:
                client = httpx.AsyncClient(verify=_verify(source), trust_env=False)
                found[source.route] = Service(
                    source, await stack.enter_async_context(client), environ, tables
                )
        yield list(found.values())


def _verify(source: Ownership) -> ssl.SSLContext | bool:
    if source.ca_file is None:
        return True
    try:
        return ssl.create_default_context(cafile=source.ca_file)
    except OSError as error:  # ssl.SSLError is one
        tls = isinstance(error, ssl.SSLError)
        why = "no certificate in PEM form" if tls else error.strerror
        raise ValueError(f"reading ca_file {source.ca_file}: {why}") from error
