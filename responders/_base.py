"""What a responder is, and the one place where failures of an enforcement point are mapped.

In: an Action, planned into plain data. Out: a Receipt that says what was answered and read back.
A failure is a value, a Fault, which says what to do and how soon trying again can help; only bugs
raise. Nothing here may put a token, a request header or a body into a Fault, nor retry in a loop.

To add a responder: one file with a class of this Protocol, and its test. plan() is pure.
"""

import asyncio
import ssl
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Literal, Protocol

import httpx
import msgspec
from pydantic import SecretStr

from records.incident import Action, Receipt
from records.kinds import ActionKind

QUICK_S = 1.0
"""Least wait after a fault that passes by itself: connection, time-out, 5xx."""
SLOW_S = 10.0
"""Least wait after a fault that a person has to mend: token, path, refusal."""
MAX_RETRY_AFTER_S = 3600.0
"""A Retry-After above this is cut, so that a wrong header cannot disarm a day of blocks."""

CA_SETTING = "respond.gateway.ca_file"

ReadBack = Literal["present", "absent", "unavailable", ""]


class Call(msgspec.Struct, frozen=True):
    """One HTTP request, without its credentials."""

    method: str
    url: str
    setting: str
    """The setting that names the path, for messages."""
    key: str = ""
    """Idempotency-Key."""
    body: bytes = b""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What performing an action will do, as data."""

    action: str
    kind: ActionKind
    point: str
    target: str
    """In canonical form."""
    want: Literal["present", "absent", ""]
    """What reading back must find; "" where the kind has no such thing."""
    doing: str
    """The opening of every message, such as "blocking 203.0.113.7"."""
    call: Call | None = None
    check: Call | None = None


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """Why an enforcement point did not do or answer what was asked."""

    detail: str
    retry_after_s: float = QUICK_S
    status: int = 0
    """HTTP status, 0 where there was no answer."""
    sent: bool = True
    """False where the request certainly never reached the point."""


class Answer(msgspec.Struct, frozen=True):
    """A 2xx."""

    status: int
    body: bytes


class Responder(Protocol):
    """One kind of effect at one enforcement point."""

    @property
    def kind(self) -> ActionKind:
        """The kind of action that it performs."""
        ...

    @property
    def point(self) -> str:
        """The enforcement point's name in receipts."""
        ...

    def plan(self, action: Action) -> Plan:
        """What perform() would do. Pure.

        Raises:
            ValueError: a target that MUST NOT be sent, with a message for a person.
        """
        ...

    def undo(self, action: Action) -> Plan | None:
        """What ends the effect; None for a kind that has no end. Raises as plan() does."""
        ...

    async def perform(self, plan: Plan, at_ms: int, attempt: int) -> Receipt:
        """Have the effect, once, and say what was answered and read back.

        `attempt` counts from 1. From 2 on the effect may be there already, as after a crash or
        time-out: it MUST be read back, or repeated under the same Idempotency-Key. Success of a
        plan is `confirmed`, of an undo `expired`; else retry_after_s says how soon to try again.
        """
        ...

    async def read_back(self, plan: Plan, at_ms: int) -> ReadBack | Fault:
        """Whether the effect is there now."""
        ...


NOT_SENT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
)

TRANSPORT_FAULTS: dict[type[Exception], str] = {
    TimeoutError: "no answer within {timeout_s:g} s",
    httpx.ConnectTimeout: "no answer within {timeout_s:g} s",
    httpx.ReadTimeout: "no answer within {timeout_s:g} s",
    httpx.WriteTimeout: "no answer within {timeout_s:g} s",
    httpx.PoolTimeout: "no free connection within {timeout_s:g} s",
    httpx.TimeoutException: "no answer within {timeout_s:g} s",
    httpx.ConnectError: "cannot connect: is it running, and is respond.gateway.url right?",
    httpx.ReadError: "the connection broke while its answer was read",
    httpx.WriteError: "the connection broke while the request was written",
    httpx.CloseError: "the connection broke while it was closed",
    httpx.NetworkError: "the connection broke",
    httpx.ProxyError: "the proxy on the way failed",
    httpx.UnsupportedProtocol: "respond.gateway.url is neither http nor https",
    httpx.LocalProtocolError: "the request could not be written as HTTP",
    httpx.RemoteProtocolError: "its answer broke off or is not HTTP",
    httpx.ProtocolError: "its answer is not HTTP",
    httpx.DecodingError: "its answer cannot be decompressed",
    httpx.TooManyRedirects: "it redirects in a circle",
    OSError: "the connection broke",
}
"""Builtin and httpx exceptions -> words. The exceptions' own text is left out: that of
LocalProtocolError quotes the header that it did not like, which can be the token."""


def transport_fault(error: Exception, timeout_s: float) -> Fault:
    """The most specific entry of TRANSPORT_FAULTS; `error` MUST be an instance of one of them."""
    words = next(TRANSPORT_FAULTS[c] for c in type(error).__mro__ if c in TRANSPORT_FAULTS)
    slow = isinstance(error, httpx.UnsupportedProtocol | httpx.LocalProtocolError)
    if tls := tls_words(error, CA_SETTING, "is respond.gateway.url https where the gateway is?"):
        words, slow = tls, True
    return Fault(
        detail=words.format(timeout_s=timeout_s),
        retry_after_s=SLOW_S if slow else QUICK_S,
        sent=not isinstance(error, NOT_SENT),
    )


def tls_words(error: BaseException, ca_setting: str, otherwise: str) -> str:
    """What TLS did not like, and what to do; "" for another error.

    httpx says only that it cannot connect. `otherwise`: what to look at if it is no certificate.
    """
    cause: BaseException | None = error
    while cause:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"its certificate is not trusted ({cause.verify_message}): set {ca_setting}"
        if isinstance(cause, ssl.SSLError):
            return f"TLS failed: {otherwise}"
        cause = cause.__cause__ or cause.__context__
    return ""


def retry_after_s(header: str | None, at_ms: int) -> float:
    """Seconds of a Retry-After header (a number or an HTTP date), within QUICK_S..MAX."""
    text = (header or "").strip()
    if text.isascii() and text.isdigit():
        wait_s = float(text[:12])
    else:
        try:
            until = parsedate_to_datetime(text)
            wait_s = (until if until.tzinfo else until.replace(tzinfo=UTC)).timestamp()
            wait_s -= at_ms / 1000
        except (ValueError, OverflowError):
            wait_s = QUICK_S
    return min(max(wait_s, QUICK_S), MAX_RETRY_AFTER_S)


def status_fault(call: Call, status: int, wait: str | None, token_name: str, at_ms: int) -> Fault:
    """What a status outside 2xx means, and what a person does about it."""
    path = httpx.URL(call.url).path
    slow = True
    if status in {401, 403} and not token_name:
        words = "the gateway wants a token: set respond.gateway.token_env"
    elif status in {401, 403}:
        again = "restart" if token_name.startswith("$") else "wait, it is read at each attempt"
        words = f"the gateway refused the token in {token_name}: set it and {again}"
    elif status == 404:
        words = f"no such path {path}; check {call.setting}"
    elif status == 405:
        words = f"{path} does not take {call.method}; check {call.setting}"
    elif status == 429:
        words, slow = f"the gateway asks to wait {retry_after_s(wait, at_ms):g} s", False
    elif status >= 500:
        words, slow = "the gateway failed: look at its log", False
    elif 300 <= status < 400:
        words = "the gateway redirects, which is not followed: check respond.gateway.url"
    else:
        words = f"the gateway did not accept {call.method} {path}: look at its log"
    least_s = SLOW_S if slow else retry_after_s(wait, at_ms)
    return Fault(detail=f"{words} ({status})", retry_after_s=least_s, status=status)


async def exchange(
    client: httpx.AsyncClient,
    call: Call,
    *,
    token: SecretStr | None,
    token_name: str,
    timeout_s: float,
    limit_bytes: int,
    at_ms: int,
) -> Answer | Fault:
    """Send one call and read its answer within `timeout_s` and `limit_bytes`; no redirects."""
    # identity: nothing to inflate, so the limit holds before memory is spent
    headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
    if token:
        secret = token.get_secret_value()
        if not (secret.isascii() and secret.isprintable()) or " " in secret:
            words = f"the token in {token_name} has characters that no HTTP header can carry"
            return Fault(detail=words, retry_after_s=SLOW_S, sent=False)
        headers["Authorization"] = f"Bearer {secret}"
    if call.key:
        headers["Idempotency-Key"] = call.key
    if call.body:
        headers["Content-Type"] = "application/json"
    body = bytearray()
    try:
        async with (
            asyncio.timeout(timeout_s),  # httpx bounds each read, this bounds a slow drip
            client.stream(
                call.method,
                call.url,
                headers=headers,
                content=call.body or None,
                follow_redirects=False,
                timeout=timeout_s,
            ) as response,
        ):
            status = response.status_code
            if not 200 <= status < 300:
                return status_fault(
                    call, status, response.headers.get("Retry-After"), token_name, at_ms
                )
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > limit_bytes:
                    return Fault(detail=f"its answer exceeds {limit_bytes} bytes", status=status)
    except (httpx.RequestError, TimeoutError, OSError) as error:
        return transport_fault(error, timeout_s)
    return Answer(status, bytes(body))


def failed(plan: Plan, fault: Fault, at_ms: int, attempt: int, read_back: ReadBack = "") -> Receipt:
    """The receipt of a fault."""
    return Receipt(
        action=plan.action,
        state="failed",
        at_ms=at_ms,
        point=plan.point,
        detail=f"{plan.doing}: {fault.detail}",
        read_back=read_back,
        attempt=attempt,
        retry_after_s=fault.retry_after_s,
    )
