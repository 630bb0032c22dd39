import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from intake.formats.envoy import FORMAT
from intake.line import Parsed
from tests.intake.formats._lines import readers, unlike

parse, outcome = readers(FORMAT)
AT = 1_795_341_603_120
TIME = "[2026-11-22T10:00:03.120Z]"
ID = "cc21d9b0-cf5c-432b-8c7e-98aeb7988cd2"
BEHIND = " inbound|80|| 127.0.0.1:41854 10.44.1.27:80 {} outbound_.80_._.api.svc default"


def text(
    request="GET /a HTTP/1.1", answer="200 -", *, forwarded="192.0.2.1", agent="curl/8.5.0",
    request_id=ID, host="api.example.com", size=5, why="", behind="",
):  # fmt: skip
    return (
        f'{TIME} "{request}" {answer} {why}0 {size} 12 11 "{forwarded}" "{agent}" '
        f'"{request_id}" "{host}" "10.0.2.1:80"{behind}'
    ).encode()


def istio(
    request="GET /a HTTP/1.1", answer="200 -", details="via_upstream", peer="10.44.1.23:37652",
    **rest,
):  # fmt: skip
    why, behind = f'{details} - "-" ', BEHIND.format(peer)
    return text(request, answer, why=why, behind=behind, **({"forwarded": "-"} | rest))


def record(**fields):
    return json.dumps(
        {
            "start_time": "2026-11-22T10:00:03.120Z", "method": "GET", "path": "/a",
            "protocol": "HTTP/1.1", "response_code": 200, "response_flags": "-",
            "response_code_details": "via_upstream", "bytes_received": 0, "bytes_sent": 5,
            "duration": 12, "x_forwarded_for": None, "user_agent": "curl/8.5.0",
            "request_id": ID, "authority": "api.example.com", "upstream_host": "10.0.2.1:80",
            "downstream_local_address": "10.44.1.27:80",
            "downstream_remote_address": "10.44.1.23:37652",
        } | fields
    ).encode()  # fmt: skip


def parsed(method="GET", target="/a", status=200, size=5, peer="", **rest):
    known = {"host": "api.example.com", "user_agent": "curl/8.5.0", "request_id": ID}
    return Parsed(AT, peer, method, target, status, size, **known | rest)


def default(*args, **rest):
    return parsed(*args, **{"forwarded": "192.0.2.1"} | rest)


def mesh(*args, **rest):
    return parsed(*args, **{"peer": "10.44.1.23"} | rest)


RBAC = "rbac_access_denied_matched_policy[ns[foo]-policy[deny-all]-rule[0]]"
FAKE = BEHIND.format("203.0.113.9:1")
LATE = "upstream_reset_before_response_started{connection_failure}"
CASES = [
    ("default", text(), default()),
    ("emissary", b"ACCESS " + text(), default()),
    ("nothing known but an address",
     text(agent="-", request_id="-", host="-"),
     default(user_agent=None, request_id=None, host=None)),
    ("forwarded list", text(forwarded="x, 198.51.100.1, 192.0.2.1"),
     default(forwarded="x, 198.51.100.1, 192.0.2.1")),
    ("http/2, query", text("POST /a?b=1 HTTP/2", "204 -", size=0),
     default("POST", "/a?b=1", 204, 0)),
    ("http/3", text("GET /a HTTP/3"), default()),
    ("absolute target", text("GET http://other.example.com/a HTTP/1.1"),
     default(host="other.example.com")),
    ("CONNECT without a path", text("CONNECT - HTTP/2"), default("CONNECT", "")),
    ("client gone", text(answer="0 DC", size=0), default(status=0, size=0)),
    ("rate limited", text(answer="429 RL"), default(status=429, blocked_by="RL")),
    ("denied by an authority outside, among other flags", text(answer="403 DC,UAEX"),
     default(status=403, blocked_by="UAEX")),
    ("no upstream: no refusal", text(answer="503 UH"), default(status=503)),
    ("quotes in the agent", text(agent='a "b" c'), default(user_agent='a "b" c')),
    ("quote in the path", text('GET /a"b HTTP/1.1'), default(target='/a"b')),
    ("spaces in the original path", text("GET /a b HTTP/1.1"), default(target="/a b")),
    ("raw bytes in the agent", text().replace(b"curl/8.5.0", b"a\xff"),
     default(user_agent="a\\xff")),
    ("fields forged in the agent", text(agent='x" "203.0.113.9'),
     default(user_agent='x" "203.0.113.9')),
    ("fields forged in the agent, all of them",
     text(agent=f'x" "{ID}" "h" "10.0.0.1:80'), default(user_agent=f'x" "{ID}" "h" "10.0.0.1:80')),
    ("a line forged in the agent", text(agent='x" 200 - 0 5 1 1 "9.9.9.9" "y'),
     default(user_agent='x" 200 - 0 5 1 1 "9.9.9.9" "y')),
    ("fields forged in X-Forwarded-For",
     text(forwarded='203.0.113.9" "x, 192.0.2.1'),
     default(forwarded="203.0.113.9", user_agent='x, 192.0.2.1" "curl/8.5.0')),
    ("no address", text(forwarded="-"), parsed()),
    ("istio", istio(), mesh()),
    ("istio, before 1.9",
     text(why='"-" "-" ', forwarded="-", behind=BEHIND.format("192.0.2.7:99")),
     parsed(peer="192.0.2.7")),
    ("istio, ipv6", istio(peer="[2001:db8::17]:443"), mesh(peer="2001:db8::17")),
    ("istio, forwarded", istio(forwarded="192.0.2.1"), mesh(forwarded="192.0.2.1")),
    ("istio, an address from a header", istio(peer="192.0.2.1:0", forwarded="192.0.2.1,10.0.0.9"),
     parsed(client="192.0.2.1")),
    ("istio, unix socket", istio(peer="/run/envoy.sock"), mesh(peer="unix:/run/envoy.sock")),
    ("istio, a listener within",
     istio(peer="envoy://internal_client_address/", forwarded="192.0.2.1"), default()),
    ("istio, no remote address", istio(peer="-", forwarded="192.0.2.1"), default()),
    ("istio, failed", istio(answer="503 UF", details=LATE), mesh(status=503)),
    ("istio, policy", istio(answer="403 -", details=RBAC), mesh(status=403, blocked_by=RBAC)),
    ("istio, token", istio(answer="401 -", details="jwt_authn_access_denied{Jwt_is_missing}"),
     mesh(status=401, blocked_by="jwt_authn_access_denied{Jwt_is_missing}")),
    ("istio, a flag of another hop", istio(answer="429 RL"), mesh(status=429)),
    ("istio, malformed", istio("- - HTTP/1.1", "400 DPE", "http1.codec_error", host="-", agent="-",
     request_id="-"), mesh("", "", 400, host=None, user_agent=None, request_id=None)),
    ("istio, fields forged in the agent", istio(forwarded="192.0.2.1", agent='x" "y'),
     mesh(forwarded="192.0.2.1", user_agent='x" "y')),
    ("istio, fields forged in the agent, none forwarded", istio(agent='x" "y'),
     mesh(user_agent='x" "y')),
    ("istio, fields forged in X-Forwarded-For: the peer only",
     istio(forwarded='203.0.113.9" "x, 192.0.2.1'), mesh(user_agent='x, 192.0.2.1" "curl/8.5.0')),
    ("istio, a peer forged in the agent", istio(agent=f'x" "y" "z" "h"{FAKE}'),
     mesh(user_agent=f'x" "y" "z" "h"{FAKE}')),
    ("json", record(), mesh()),
    ("json, all text", record(response_code="200", bytes_sent="5"), mesh()),
    ("json, forwarded", record(x_forwarded_for="192.0.2.1"), mesh(forwarded="192.0.2.1")),
    ("json, no peer", record(x_forwarded_for="192.0.2.1", downstream_remote_address=None),
     default()),
    ("json, an address from a header", record(downstream_remote_address="192.0.2.1:0",
     x_forwarded_for="192.0.2.1,10.0.0.9"), parsed(client="192.0.2.1")),
    ("json, direct peer", record(downstream_remote_address="192.0.2.1:0",
     x_forwarded_for="192.0.2.1", downstream_direct_remote_address="10.0.0.9:1234"),
     parsed(peer="10.0.0.9", forwarded="192.0.2.1")),
    ("json, ipv6", record(downstream_remote_address="[2001:db8::17]:443"),
     mesh(peer="2001:db8::17")),
    ("json, policy", record(response_code=403, response_code_details=RBAC),
     mesh(status=403, blocked_by=RBAC)),
    ("json, a refused call of gRPC", record(response_flags="UAEX", response_code_details=None,
     bytes_sent=0), mesh(size=0, blocked_by="UAEX")),
    ("json, flags of another type", record(response_flags=3, response_code_details=["x"]), mesh()),
    ("json, client gone", record(response_code=0, response_flags="DC", bytes_sent=0,
     response_code_details="downstream_remote_disconnect"), mesh(status=0, size=0)),
    ("json, malformed", record(method=None, path=None, response_code=400), mesh("", "", 400)),
    ("json, Envoy Gateway", json.dumps({
        "start_time": "2026-11-22T10:00:03.120Z", "method": "GET", "x-envoy-origin-path": "/a",
        "protocol": "HTTP/2", "response_code": 200, "response_flags": "-", "bytes_sent": 5,
        "x-forwarded-for": "192.0.2.1", "user-agent": "curl/8.5.0", "x-request-id": ID,
        ":authority": "api.example.com", "downstream_remote_address": "10.44.1.23:37652",
     }).encode(), mesh(forwarded="192.0.2.1")),
]  # fmt: skip

BAD = [
    ("nginx", b'192.0.2.1 - - [22/Nov/2026:10:00:03 +0000] "GET / HTTP/1.1" 200 5 "-" "-"',
     "not_this_format"),
    ("cut off", text()[:120], "not_this_format"),
    ("too few fields", text().replace(b' "api.example.com"', b""), "not_this_format"),
    ("text behind the last quote", text() + b"x", "not_this_format"),
    ("bad time", text().replace(b"-22T", b"-33T"), "bad_time"),
    ("tcp", text("- - -", "0 -", forwarded="-", agent="-", request_id="-", host="-"), "not_http"),
    ("istio, tcp", istio("- - -", "0 -", "-"), "not_http"),
    ("json, tcp", record(method=None, path=None, protocol=None, response_code=0), "not_http"),
    ("json, no address", record(downstream_remote_address=None), "no_address"),
    ("another json", b'{"a":1}', "no_request"),
    ("no json", b'{"response_flags":', "not_json"),
]  # fmt: skip


LINES = [*CASES, *BAD]


@pytest.mark.parametrize(("name", "data", "expected"), LINES, ids=[c[0] for c in LINES])
def test_lines(name, data, expected):
    assert outcome(data) == expected


@pytest.mark.parametrize(
    "data",
    [
        istio(peer="192.0.2.1:0", forwarded="192.0.2.1,10.0.0.9"),
        record(downstream_remote_address="192.0.2.1:0", x_forwarded_for="192.0.2.1,10.0.0.9"),
    ],
)
def test_who_trusts_envoys_own_answer_says_so(data):
    found = parse(data, fields={"client_ip": "downstream_remote_address"})
    assert found == parsed(peer="192.0.2.1", forwarded="192.0.2.1,10.0.0.9")


def test_what_refused_a_request_can_be_configured():
    found = parse(record(waf="x-1", response_flags="UAEX"), fields={"blocked_by": "waf"})
    assert found == mesh(blocked_by="x-1")


def test_sniff_knows_text_json_and_tcp_and_nothing_else():
    bad = {name: data for name, data, _ in BAD}
    lines = [text(), istio(), record(), text(forwarded="-"), bad["tcp"]]
    assert FORMAT.sniff(lines) == 1
    assert FORMAT.sniff([text(), b"junk", b"\xff\0", b'{"response_flags": "-"}']) == 0.25
    # Neither any JSON, nor one whose client writes like Envoy.
    assert FORMAT.sniff([record().replace(b'"response_flags": "-", ', b"")]) == 0
    odd = json.dumps({"time": TIME[1:-1], "remote_addr": "192.0.2.1", "path": "/", "status": 200,
                      "agent": '"response_flags": "-"'}).encode()  # fmt: skip
    assert FORMAT.sniff([odd]) == 0


WRITTEN = st.text(st.sampled_from('" ,-x192.0') | st.characters(codec="ascii"), max_size=30).filter(
    lambda value: value.isprintable()
)


@given(WRITTEN, WRITTEN)
@example('" ', "")
def test_no_header_can_change_what_is_the_servers(agent, forwarded):
    # The proxy in front appends its peer.
    found = parse(istio(agent=agent, forwarded=f"{forwarded}, 192.0.2.1"))
    assert (found.peer, found.method, found.target, found.status, found.bytes) == (
        "10.44.1.23", "GET", "/a", 200, 5,
    )  # fmt: skip
    assert (found.request_id, found.host, found.blocked_by) == (ID, "api.example.com", None)
    assert found.forwarded is None or found.forwarded.endswith(", 192.0.2.1")


# name, the line that has something n times, what becomes of it
HOSTILE = [
    ("heads", lambda n: f'{TIME} "GET x'.encode() + b' -" 0 - 0 0 0 0 "' * n + b"x",
     lambda _: "not_this_format"),
    ("heads with details", lambda n: f'{TIME} "GET x'.encode() + b' -" 0 - a b "' * n,
     lambda _: "not_this_format"),
    ("agents", lambda n: text(agent='" "' * n), lambda n: default(user_agent='" "' * n)),
    ("addresses in an agent", lambda n: istio(agent='1.1.1.1" "' * n),
     lambda n: mesh(user_agent='1.1.1.1" "' * n)),
    ("forwarded", lambda n: istio(forwarded="1," * n), lambda n: mesh(forwarded="1," * n)),
    ("tokens behind", lambda n: istio() + b" x" * n, lambda _: mesh()),
    ("path", lambda n: text("GET /" + "a b" * n + " HTTP/1.1"),
     lambda n: default(target="/" + "a b" * n)),
    ("protocols", lambda n: text("GET /" + ' HTTP/1.1" ' * n + " HTTP/1.1"),
     lambda n: default(target="/" + ' HTTP/1.1" ' * n)),
]  # fmt: skip


@pytest.mark.parametrize(("name", "shape", "expected"), HOSTILE, ids=[c[0] for c in HOSTILE])
def test_a_huge_line_is_read_as_a_short_one_is(name, shape, expected):
    assert unlike(outcome, shape, expected) == []
