import asyncio
import ssl
from collections.abc import AsyncIterator

import httpx
import pytest
from pydantic import SecretStr

from records.incident import Receipt
from responders._base import (
    MAX_RETRY_AFTER_S,
    QUICK_S,
    SLOW_S,
    TRANSPORT_FAULTS,
    Answer,
    Call,
    Fault,
    Plan,
    exchange,
    failed,
    retry_after_s,
    status_fault,
    transport_fault,
)

AT_MS = 1_795_341_600_000  # 2026-11-22T10:00:00Z
CALL = Call("POST", "http://192.0.2.1/admin/block-ip", "respond.gateway.block_path", "act-1", b"{}")


def _classes(cls):
    return {cls, *(leaf for sub in cls.__subclasses__() for leaf in _classes(sub))}


def test_every_exception_of_httpx_transports_has_its_own_words():
    umbrellas = {httpx.RequestError, httpx.TransportError}
    assert _classes(httpx.RequestError) - umbrellas == set(TRANSPORT_FAULTS) - {
        TimeoutError,
        OSError,
    }


@pytest.mark.parametrize("cls", sorted(TRANSPORT_FAULTS, key=str))
def test_a_mapped_exception_never_shows_its_own_text(cls):
    fault = transport_fault(cls("Illegal header value b'Bearer hunter2'"), 5)
    assert "hunter2" not in fault.detail
    assert "{" not in fault.detail
    assert fault.retry_after_s >= QUICK_S


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (httpx.ReadTimeout(""), Fault(detail="no answer within 5 s")),
        (httpx.ConnectTimeout(""), Fault(detail="no answer within 5 s", sent=False)),
        (TimeoutError(), Fault(detail="no answer within 5 s")),
        (
            httpx.ConnectError(""),
            Fault(
                detail="cannot connect: is it running, and is respond.gateway.url right?",
                sent=False,
            ),
        ),
        (ConnectionResetError(), Fault(detail="the connection broke")),
        (
            httpx.LocalProtocolError(""),
            Fault(detail="the request could not be written as HTTP", retry_after_s=SLOW_S),
        ),
    ],
)
def test_transport_fault(error, expected):
    assert transport_fault(error, 5.0) == expected


def _caused(error, cause):
    error.__cause__ = cause
    return error


UNTRUSTED = ssl.SSLCertVerificationError(1, "certificate verify failed")
UNTRUSTED.verify_message = "self-signed certificate"


@pytest.mark.parametrize(
    ("cause", "detail"),
    [
        (
            UNTRUSTED,
            "its certificate is not trusted (self-signed certificate): set respond.gateway.ca_file",
        ),
        (
            ssl.SSLError(1, "wrong version number"),
            "TLS failed: is respond.gateway.url https where the gateway is?",
        ),
    ],
)
def test_trouble_with_tls_is_named(cause, detail):
    error = _caused(httpx.ConnectError(""), _caused(OSError(), cause))
    assert transport_fault(error, 5) == Fault(detail=detail, retry_after_s=SLOW_S, sent=False)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, QUICK_S),
        ("", QUICK_S),
        ("7", 7.0),
        (" 120 ", 120.0),
        ("0", QUICK_S),
        ("-5", QUICK_S),
        ("soon", QUICK_S),
        ("Sun, 22 Nov 2026 10:00:30 GMT", 30.0),
        ("Sun, 22 Nov 2026 11:00:30 +0100", 30.0),
        ("Sun, 22 Nov 2026 09:00:00 GMT", QUICK_S),
        ("Sun, 22 Nov 2099 10:00:00 GMT", MAX_RETRY_AFTER_S),
        ("9" * 400, MAX_RETRY_AFTER_S),
        ("\u0667", QUICK_S),
    ],
)
def test_retry_after(header, expected):
    assert retry_after_s(header, AT_MS) == expected


REFUSED = "the gateway refused the token in $GATEWAY_TOKEN: set it and restart"


@pytest.mark.parametrize(
    ("status", "wait", "detail", "least_s"),
    [
        (401, None, f"{REFUSED} (401)", SLOW_S),
        (403, None, f"{REFUSED} (403)", SLOW_S),
        (404, None, "no such path /admin/block-ip; check respond.gateway.block_path (404)", SLOW_S),
        (
            405,
            None,
            "/admin/block-ip does not take POST; check respond.gateway.block_path (405)",
            SLOW_S,
        ),
        (429, "7", "the gateway asks to wait 7 s (429)", 7.0),
        (429, None, "the gateway asks to wait 1 s (429)", 1.0),
        (500, None, "the gateway failed: look at its log (500)", QUICK_S),
        (503, "20", "the gateway failed: look at its log (503)", 20.0),
        (
            302,
            None,
            "the gateway redirects, which is not followed: check respond.gateway.url (302)",
            SLOW_S,
        ),
        (
            422,
            None,
            "the gateway did not accept POST /admin/block-ip: look at its log (422)",
            SLOW_S,
        ),
    ],
)
def test_status_fault(status, wait, detail, least_s):
    assert status_fault(CALL, status, wait, "$GATEWAY_TOKEN", AT_MS) == Fault(
        detail=detail, retry_after_s=least_s, status=status
    )


@pytest.mark.parametrize(
    ("token_name", "detail"),
    [
        ("", "the gateway wants a token: set respond.gateway.token_env (401)"),
        (
            "/run/secrets/gateway",
            (
                "the gateway refused the token in /run/secrets/gateway: set it and wait, "
                "it is read at each attempt (401)"
            ),
        ),
    ],
)
def test_a_refused_token_says_what_to_do(token_name, detail):
    assert status_fault(CALL, 401, None, token_name, AT_MS).detail == detail


def _exchange(handler, token="synthetic", timeout_s=5.0, limit_bytes=100):
    async def run():
        async with httpx.AsyncClient(transport=httpx.MockTransport(handler)) as client:
            return await exchange(
                client,
                CALL,
                token=SecretStr(token) if token else None,
                token_name="$GATEWAY_TOKEN",
                timeout_s=timeout_s,
                limit_bytes=limit_bytes,
                at_ms=AT_MS,
            )

    return asyncio.run(run())


def test_exchange_sends_the_call_and_its_credentials():
    seen = []

    def handler(request):
        seen.append(request)
        return httpx.Response(200, content=b"{}")

    assert _exchange(handler) == Answer(200, b"{}")
    [request] = seen
    assert (request.method, str(request.url), request.content) == (CALL.method, CALL.url, CALL.body)
    assert request.headers["authorization"] == "Bearer synthetic"
    assert request.headers["idempotency-key"] == "act-1"
    assert request.headers["accept-encoding"] == "identity"
    assert request.headers["content-type"] == "application/json"


def test_exchange_without_a_token_sends_no_authorization():
    def handler(request):
        return httpx.Response(200 if "authorization" not in request.headers else 400)

    assert _exchange(handler, token=None) == Answer(200, b"")


def test_exchange_follows_no_redirect():
    seen = []

    def handler(request):
        seen.append(request.url.host)
        return httpx.Response(302, headers={"Location": "http://198.51.100.1/"})

    assert _exchange(handler).status == 302
    assert seen == ["192.0.2.1"]


class Drip(httpx.AsyncByteStream):
    """Answers without end; `pause_s` between bytes."""

    def __init__(self, pause_s: float) -> None:
        self.pause_s = pause_s
        self.sent = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            self.sent += 1
            yield b"x" * 10
            await asyncio.sleep(self.pause_s)


def test_exchange_stops_reading_at_the_limit():
    drip = Drip(0)
    fault = _exchange(lambda _: httpx.Response(200, stream=drip))
    assert fault == Fault(detail="its answer exceeds 100 bytes", status=200)
    assert drip.sent == 11


def test_exchange_bounds_a_slow_drip_as_a_whole():
    fault = _exchange(
        lambda _: httpx.Response(200, stream=Drip(0.01)), timeout_s=0.05, limit_bytes=1 << 30
    )
    assert fault == Fault(detail="no answer within 0.05 s")


@pytest.mark.parametrize("token", ["two words", "line\r\nX-Admin: 1", "schlüssel", "nul\x00"])
def test_a_token_that_no_header_can_carry_is_neither_sent_nor_shown(token):
    seen: list[httpx.Request] = []
    fault = _exchange(seen.append, token=token)
    assert fault == Fault(
        detail="the token in $GATEWAY_TOKEN has characters that no HTTP header can carry",
        retry_after_s=SLOW_S,
        sent=False,
    )
    assert seen == []


def test_failed_names_what_was_being_done():
    plan = Plan(
        action="act-1",
        kind="block_ip",
        point="gateway",
        target="203.0.113.7",
        want="present",
        doing="blocking 203.0.113.7",
    )
    assert failed(plan, Fault(detail="x", retry_after_s=3), AT_MS, 2, "absent") == Receipt(
        action="act-1",
        state="failed",
        at_ms=AT_MS,
        point="gateway",
        detail="blocking 203.0.113.7: x",
        read_back="absent",
        attempt=2,
        retry_after_s=3,
    )
