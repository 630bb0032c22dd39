import hashlib
from typing import Any

import msgspec
import pytest

from intake.halves import (
    alone,
    better,
    half_of,
    is_same_request,
    is_surely_same,
    joined,
    joined_caller,
    plain_id,
    plain_path,
    reduced,
    says_the_same,
)
from intake.identity import Caller
from intake.line import Parsed
from intake.spaces import Spaces
from records.event import RawLine
from tests.intake._lines import AT

NOBODY = Caller("", "", "unlogged", "", "", False)
ANONYMOUS = Caller("", "", "anonymous", "", "", False)


def by(principal, provenance="gateway", claimed="", session="", **said):
    return Caller(principal, provenance, "known", claimed, session, False, **said)


def claim(name, session=""):
    return Caller(name, "asserted", "known", name, session, True)


def line(target="/users/7", **said):
    usual = {"time_ms": AT, "peer": "192.0.2.7", "method": "GET", "status": 200}
    return Parsed(target=target, **{**usual, **said})


def half(parsed, caller=NOBODY, gateway=True, raw=b"GET /users/7"):
    return half_of("src", 16, raw, parsed, caller, gateway=gateway, credentials="", late=False)


@pytest.mark.parametrize(
    ("logged", "expected"),
    [
        (None, ""),
        ("", ""),
        ("abc-DEF", "abc-DEF"),
        ("F81D4FAE-7DEC-11D0-A765-00A0C91E6BF6", "f81d4fae7dec11d0a76500a0c91e6bf6"),
        ("f81d4fae7dec11d0a76500a0c91e6bf6", "f81d4fae7dec11d0a76500a0c91e6bf6"),
        ("x" * 257, ""),
    ],
)
def test_plain_id(logged, expected):
    assert plain_id(logged) == expected


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("/users/7?a=1", "/users/7"),
        ("/users/7/", "/users/7"),
        ("/users/%37", "/users/7"),
        ("//users/./7;v=1", "/users/7"),
        ("/", "/"),
        ("", ""),
        ("*", "*"),
    ],
)
def test_plain_path(target, expected):
    assert plain_path(target) == expected


def test_what_belongs_to_one_request():
    gateway = half(line("/api/users/7?a=1"))
    for target, surely, perhaps in (
        ("/api/users/7?a=1", True, True),
        ("/users/7", True, True),
        ("/users/7?a=2", False, True),
        ("/api/users/7?a=%31", False, True),
        ("/users/8", False, False),
        ("7", False, False),
    ):
        service = half(line(target), gateway=False)
        assert is_surely_same(gateway, service) is surely
        assert is_same_request(service, gateway) is perhaps
    secret, masked = half(line("/a?token=abc123&b=1")), half(line("/a?token=[secret]&b=1"))
    assert is_surely_same(secret, masked)
    assert not is_surely_same(secret, half(line("/a?token=[secret]&b=2")))
    refused = half(line("/users/7", status=403), gateway=False)
    assert (is_surely_same(gateway, refused), is_same_request(gateway, refused)) == (False, True)
    posted = half(line("/users/7", method="POST"), gateway=False)
    assert is_same_request(gateway, posted) is False


def test_tries_of_one_request_say_the_same():
    one = half(line(owners=("u-7",)), by("u-7"))
    assert says_the_same(one, half(line(owners=("u-7",), status=503), by("u-7")))
    assert not says_the_same(one, half(line(owners=("u-8",)), by("u-7")))
    assert not says_the_same(one, half(line(owners=("u-7",)), by("u-8")))
    assert not says_the_same(one, half(line(owners=("u-7",), tenant="t-1"), by("u-7")))


def test_a_service_alone_has_no_peer_that_could_be_blocked():
    assert alone(half(line())) == line()
    assert alone(half(line(peer=""), gateway=False)) == line(peer="")
    assert alone(half(line(), gateway=False)) == line(peer="", forwarded="192.0.2.7")
    behind = line(forwarded="203.0.113.9, 10.0.0.2")
    assert alone(half(behind, gateway=False)) == line(peer="", forwarded=behind.forwarded)


def test_each_field_comes_from_the_log_that_knows_it():
    everything = {
        name: f"{{}}-{name}"
        for name in (
            "host user_agent referer request_id principal asserted claimed session authorization "
            "jwt_payload tenant context_error origin fetch_site override_method upstream_status "
            "client forwarded forwarded_elements trace_id location blocked_by"
        ).split()
    }
    by_gateway: dict[str, Any] = {name: text.format("g") for name, text in everything.items()}
    by_service: dict[str, Any] = {name: text.format("s") for name, text in everything.items()}
    gateway = Parsed(
        AT, "198.51.100.7", "GET", "/api/users/7", 499, 0,
        **by_gateway, owners=("g",), internal=("x-g",),
        other_claims=((1, "g"),),
    )  # fmt: skip
    service = Parsed(
        AT + 3000, "10.0.0.2", "POST", "/users/7", 200, 512,
        **by_service, owners=("s",), internal=("x-s",),
        other_claims=((1, "s"),), basic_user=True, logs_principal=True,
    )  # fmt: skip
    before = msgspec.structs.replace(gateway)
    pair = joined(gateway, service)
    assert gateway == before
    names = (
        "principal asserted claimed session authorization jwt_payload tenant context_error"
    ).split()
    assert pair == msgspec.structs.replace(
        gateway,
        owners=("s",),
        basic_user=True,
        logs_principal=True,
        other_claims=((1, "s"),),
        **{name: f"s-{name}" for name in names},
    )
    # What the gateway does not log, the service does; but for what only a gateway can know.
    empty = Parsed(AT, "", "", "", 0)
    assert joined(empty, service) == msgspec.structs.replace(
        service,
        time_ms=AT,
        peer="",
        blocked_by=None,
        internal=(),
        upstream_status="200",
    )
    # What the service does not log, the gateway does.
    assert joined(gateway, Parsed(AT, "", "", "", 0)) == gateway


def test_no_address_is_put_together_from_two_logs():
    """A header that reached the service must not stand behind the gateway's peer."""
    spoofed = line(peer="10.0.0.2", forwarded="203.0.113.9")
    pair = joined(line(), spoofed)
    assert (pair.peer, pair.forwarded) == ("192.0.2.7", None)
    pair = joined(line(peer=""), spoofed)
    assert (pair.peer, pair.forwarded) == ("", "203.0.113.9")
    pair = joined(line(peer=""), line(peer="10.0.0.2"))
    assert (pair.peer, pair.forwarded) == ("", "10.0.0.2")


def test_what_the_service_answered_is_the_upstreams_status():
    assert joined(line(status=499), line()).upstream_status == "200"
    assert joined(line(upstream_status="502, 200"), line()).upstream_status == "502, 200"
    assert joined(line(), line(status=0)).upstream_status is None


@pytest.mark.parametrize(
    ("method", "at_gateway", "at_service", "expected"),
    [
        ("GET", 504, 200, 504),
        ("GET", 0, 200, 200),
        ("POST", 504, 201, 201),
        ("DELETE", 499, 204, 204),
        ("PUT", 403, 200, 200),
        ("PUT", 504, 0, 504),
        ("PUT", 504, 409, 504),
        ("PUT", 200, 500, 200),
    ],
)
def test_a_change_that_was_made_was_made(method, at_gateway, at_service, expected):
    """Whatever the client got to see of it; of a read, that is what counts."""
    pair = joined(line(method=method, status=at_gateway), line(method=method, status=at_service))
    assert pair.status == expected


def spaces():
    """Of users who are numbers: 17x is 17."""
    found = Spaces()
    for number in range(50):
        found.note("principal", str(number))
        found.note("claimed", str(number))
    return found


@pytest.mark.parametrize(
    ("name", "gateway", "service", "expected"),
    [
        ("nobody said", NOBODY, NOBODY, NOBODY),
        ("one log has credentials, and there were none", NOBODY, ANONYMOUS, ANONYMOUS),
        ("the service's alone", ANONYMOUS, by("u-7"), by("u-7")),
        ("the gateway's alone", by("u-7"), NOBODY, by("u-7")),
        ("its own provenance", NOBODY, by("u-7", "asserted"), by("u-7", "asserted")),
        ("the better", by("u-7", "verified"), by("U7", "asserted"), by("u-7", "verified")),
        ("of two alike the service's", by("a", "asserted"), by("b", "asserted"),
         by("b", "asserted")),
        ("a token that nobody checked", by("u-8", "unverified"), by("u-7"), by("u-7")),
        ("ids of two kinds", by("ann@example.org"), by("17"), by("17")),
        ("a claim is less than a principal", claim("u-8", "s1"), by("u-7"),
         by("u-7", claimed="u-8", session="s1")),
        ("a claim is no caller where credentials are logged", claim("u-8"), ANONYMOUS,
         Caller("", "", "anonymous", "u-8", "", False)),
        ("a claim where nothing else is logged", claim("u-8"), NOBODY, claim("u-8")),
        ("the claim that reached the service", by("u-7", claimed="u-9"),
         by("u-7", claimed="u-8"), by("u-7", claimed="u-8")),
        ("a claim in another spelling", claim("17x"), by("17"), by("17", claimed="17")),
        ("claims that do not agree", claim("18"), by("17", claimed="17", claims=("19", "17x")),
         by("17", claimed="19")),
        ("a forged token", by("u-8", "unverified", token="forged"), by("u-7"),
         by("u-7", token="forged")),
        ("for whom it acts", by("agent", "verified", behalf="u-7"), by("u-7"),
         by("agent", "verified", behalf="u-7")),
        ("the service's session", by("u-7", session="g"), by("u-7", session="s"),
         by("u-7", session="s")),
        ("a header that the service believed", by("u-7", session="g"), by("u-8"),
         by("u-7", claimed="u-8", session="g")),
        ("the same, with a claim", by("u-7", claimed="u-9"), by("u-8", claimed="u-9"),
         by("u-7", claimed="u-8", claims=("u-9",))),
    ],
)  # fmt: skip
def test_who_it_was(name, gateway, service, expected):
    assert joined_caller(gateway, service, spaces()) == expected


def test_the_better_log():
    assert better("", "asserted") == better("asserted", "") == "asserted"
    assert better("gateway", "unverified") == "gateway"


SECRET = "s3cr3t-session-value"
TOKEN = "Bearer s3cr3t.token.value"


def test_no_credential_waits_in_a_store():
    raw = f'{{"session":"{SECRET}","auth":"{TOKEN}","url":"/users/7?token=abc123"}}'.encode()
    parsed = line(
        "/users/7?token=abc123&page=2",
        session=SECRET,
        authorization=TOKEN,
        jwt_payload="eyJzdWIiOiJ1LTcifQ",
        referer="https://app.example/?token=abc123",
        location="/login?ticket=abc123",
    )
    whole = half(parsed, by("u-7", session="d-1"), raw=raw)
    kept = reduced(whole)
    assert kept.evidence() == whole.evidence()
    assert kept.evidence().sha256 == hashlib.sha256(raw).hexdigest()
    data = msgspec.msgpack.encode(kept)
    for secret in (SECRET, "s3cr3t", "abc123", "eyJ"):
        assert secret.encode() not in data
    assert msgspec.msgpack.decode(data, type=type(kept)) == kept
    assert reduced(kept) is kept
    assert (kept.caller, kept.parsed.target) == (whole.caller, "/users/7?token=[secret]&page=2")


def test_a_half_is_evidence_of_its_place():
    assert half(line(), raw=b"x").evidence() == RawLine(
        "src-10", hashlib.sha256(b"x").hexdigest(), b"x", False
    )


def test_what_tells_requests_of_one_id_apart():
    keys = {
        half(line(target, request_id="r", **said), gateway=gateway).key
        for target, said, gateway in (
            ("/users/7", {}, True),
            ("/users/7?x", {}, True),
            ("/users/%37", {}, True),
            ("/users/7", {}, False),
            ("/users/7", {"status": 403}, True),
            ("/users/7", {"method": "PUT"}, True),
            ("/users/8", {}, True),
        )
    }
    assert len(keys) == 5
    assert half(line()).key == b""
