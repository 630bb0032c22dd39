import pytest
from hypothesis import given
from hypothesis import strategies as st

from intake.formats.aws_alb import FORMAT
from intake.line import Parsed
from tests.intake.formats._lines import hex_escaped, readers, unlike

parse, outcome = readers(FORMAT)
AT = 1_795_341_603_120
TRACE = "1-58337262-36d228ad5d99923122bbe354"
GROUP = (
    "arn:aws:elasticloadbalancing:us-east-2:123456789012:targetgroup/my-targets/73e2d6bc24d8a067"
)
NEW = ' "10.0.0.1:80" "200" "-" "-" TID_1234abcd5678ef90'


def line(
    request="GET https://api.example.com:443/a HTTP/1.1", *, kind="https ", peer="192.0.2.1:2817",
    target="10.0.0.1:80", answer="200 200 34 366", agent="curl/8.5.0", trace=f"Root={TRACE}",
    actions="forward", redirect="-", rest=NEW,
):  # fmt: skip
    return (
        f"{kind}2026-11-22T10:00:03.120641Z app/my-lb/50dc6c495c0c9188 {peer} {target} "
        f'0.000 0.001 0.000 {answer} "{request}" "{agent}" ECDHE-RSA-AES128-GCM-SHA256 TLSv1.2 '
        f'{GROUP} "{trace}" "api.example.com" "-" 0 2026-11-22T10:00:03.100000Z "{actions}" '
        f'"{redirect}" "-"{rest}'
    ).encode()


def cut(fields):
    """A line as it was when there were only so many fields."""
    return b" ".join(line(agent="curl/8.5.0").split(b" ")[:fields])


def parsed(method="GET", target="/a", status=200, size=-1, peer="192.0.2.1", **rest):
    known = {"host": "api.example.com:443", "user_agent": "curl/8.5.0", "trace_id": TRACE}
    return Parsed(AT, peer, method, target, status, size, **known | rest)


def classic(request="GET http://api.example.com:80/a HTTP/1.1", answer="200 200 0 29"):
    return (
        "2026-11-22T10:00:03.120641Z my-lb 192.0.2.1:2817 10.0.0.1:80 0.000073 0.001048 0.000057 "
        f'{answer} "{request}" "curl/8.5.0" - -'
    ).encode()


UNANSWERED = {"target": "-"}
CASES = [
    ("https", line(), parsed()),
    ("http", line("GET http://api.example.com:80/ HTTP/1.1", kind="http "),
     parsed(target="/", host="api.example.com:80")),
    ("http/2", line("POST https://api.example.com:443/a?b=1 HTTP/2.0", kind="h2 "),
     parsed("POST", "/a?b=1")),
    ("grpc", line("POST https://api.example.com:443/users.v1.Users/Get HTTP/2.0", kind="grpcs "),
     parsed("POST", "/users.v1.Users/Get")),
    ("websocket", line(kind="wss ", answer="101 101 218 786"), parsed(status=101)),
    ("a type to come", line(kind="h3 "), parsed()),
    ("ipv6", line(peer="[2001:db8::17]:443"), parsed(peer="2001:db8::17")),
    ("ipv6, bare", line(peer="2001:db8::17:443"), parsed(peer="2001:db8::17")),
    ("fields to come", line(rest=NEW + ' "x" y'), parsed()),
    ("2023", line(rest=' "10.0.0.1:80" "200" "-" "-"'), parsed()),
    ("2018", line(rest=""), parsed()),
    ("2017, no actions", cut(23), parsed()),
    ("2016, up to the trace", cut(20), parsed()),
    ("nothing sent", line(answer="200 200 34 0"), parsed(size=0)),
    ("several targets", line(rest=' "10.0.0.1:80 10.0.0.2:80" "503 200" "-" "-"'), parsed()),
    ("a function", line(target="-", answer="200 200 34 366"), parsed()),
    ("a function failed", line(target="-", answer="502 - 34 366"), parsed(status=502)),
    ("client gone", line(answer="460 - 34 0"), parsed(status=460, size=0)),
    ("refused by the firewall", line(**UNANSWERED, answer="403 - 34 520", actions="waf"),
     parsed(status=403, blocked_by="waf")),
    ("refused by the firewall behind a login", line(**UNANSWERED, answer="403 - 34 520",
     actions="authenticate,waf"), parsed(status=403, blocked_by="waf")),
    ("passed by the firewall", line(actions="waf,forward"), parsed()),
    ("no target to be had", line(**UNANSWERED, answer="503 - 34 520", actions="waf,forward"),
     parsed(status=503)),
    ("sent to log in", line(**UNANSWERED, answer="302 - 34 520", actions="authenticate"),
     parsed(status=302, blocked_by="authenticate")),
    ("logged in", line(actions="authenticate,forward"), parsed()),
    ("bad token", line(**UNANSWERED, answer="401 - 34 520", actions="jwt-validation"),
     parsed(status=401, blocked_by="jwt-validation")),
    ("fixed answer", line(**UNANSWERED, answer="404 - 34 520", actions="fixed-response"),
     parsed(status=404, blocked_by="fixed-response")),
    ("redirected", line(**UNANSWERED, answer="301 - 34 520", actions="redirect",
     redirect="https://www.example.com:443/a"),
     parsed(status=301, location="https://www.example.com:443/a")),
    ("malformed", line("- http://api.example.com:80- -", target="-", answer="400 - 0 272",
     agent="-", trace="-", actions="-"),
     parsed("", "", 400, host=None, user_agent=None, trace_id=None)),
    ("nothing of a request", line("- - - ", target="-", answer="400 - 0 272", actions="-"),
     parsed("", "", 400, host=None)),
    ("space in the target", line("GET https://api.example.com:443/a b HTTP/1.1"),
     parsed(target="/a b")),
    ("quote in the target", line(r"GET https://api.example.com:443/a\x22b HTTP/1.1"),
     parsed(target='/a"b')),
    ("trace of the client", line(trace=f"Self=1-67891234-12456789abcdef012345678;Root={TRACE}"),
     parsed()),
    ("no trace", line(trace="abc"), parsed(trace_id=None)),
    ("a line forged in the agent",
     line(agent=r"x\x22 - - - \x22-\x22", rest=""), parsed(user_agent='x" - - - "-"')),
    ("quotes in the agent", line(agent=r"\"research\""), parsed(user_agent='"research"')),
    ("classic", classic(), parsed(host="api.example.com:80", trace_id=None)),
    ("classic, 2014", classic().partition(b' "curl')[0],
     parsed(host="api.example.com:80", trace_id=None, user_agent=None)),
    ("raw bytes", line().replace(b"curl/8.5.0", b"a\xff"), parsed(user_agent="a\\xff")),
]  # fmt: skip

BAD = [
    ("json", b'{"a":1}', "not_this_format"),
    ("cut in a quoted field", line()[:200], "not_this_format"),
    ("bad time", line().replace(b"-22T", b"-32T"), "bad_time"),
    ("classic, tcp", classic("- - - ", "- - 82 305"), "not_http"),
    ("network load balancer",
     b"tls 2.0 2026-11-22T02:59:40 net/my-nlb/c6e7 g3d4 192.0.2.1:2817 10.0.0.1:80 5 2 98 246 - -",
     "not_http"),
    ("type, but no network load balancer", b"tls 2.0 2026-11-22T02:59:40 app/x", "not_this_format"),
    ("connection log",
     b'2026-11-22T17:05:15.514108Z 192.0.2.1 36280 443 TLSv1.2 X 4.036 "CN=x" - FEF2 Success',
     "not_this_format"),
]  # fmt: skip


LINES = [*CASES, *BAD]


@pytest.mark.parametrize(("name", "data", "expected"), LINES, ids=[c[0] for c in LINES])
def test_lines(name, data, expected):
    assert outcome(data) == expected


def test_sniff_knows_old_new_and_classic_and_nothing_else():
    bad = {name: data for name, data, _ in BAD}
    assert FORMAT.sniff([line(), line(rest=""), cut(23), classic(), bad["classic, tcp"]]) == 1
    assert FORMAT.sniff([line(), b"junk", b"\xff\0", b'{"a":1}']) == 0.25
    assert FORMAT.sniff([bad["network load balancer"], bad["connection log"]]) == 0


@given(st.text(st.characters(codec="utf-8")))
def test_no_agent_can_lose_its_line(agent):
    expected = parsed(user_agent=None if agent in {"", "-"} else agent)
    assert parse(line(agent=hex_escaped(agent))) == expected


HOSTILE = [
    ("colons", lambda n: line(peer=":" * n), lambda _: "not_this_format"),
    ("quotes", lambda n: line()[:170] + b'"' * n, lambda _: "not_this_format"),
    ("backslashes", lambda n: line(agent="\\\\" * n), lambda n: parsed(user_agent="\\" * n)),
    ("open", lambda n: line(agent="\\" * (2 * n + 1)), lambda _: "not_this_format"),
    ("target", lambda n: line("GET https://api.example.com:443/" + " x" * n + " HTTP/1.1"),
     lambda n: parsed(target="/" + " x" * n)),
    ("trace", lambda n: line(trace="Root=" * n), lambda _: parsed(trace_id=None)),
    ("actions", lambda n: line(target="-", answer="403 - 0 1", actions="waf," * n + "waf"),
     lambda _: parsed(status=403, blocked_by="waf")),
    ("fields to come", lambda n: line() + b' "x' * n, lambda _: parsed()),
]  # fmt: skip


@pytest.mark.parametrize(("name", "shape", "expected"), HOSTILE, ids=[c[0] for c in HOSTILE])
def test_a_huge_line_is_read_as_a_short_one_is(name, shape, expected):
    assert unlike(outcome, shape, expected) == []
