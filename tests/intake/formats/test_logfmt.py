import pytest
from hypothesis import given
from hypothesis import strategies as st

from intake.formats._base import Timeless
from intake.formats.logfmt import FORMAT
from intake.line import Parsed
from tests.intake.formats._lines import readers, unlike

parse, outcome = readers(FORMAT)
AT = 1_795_341_603_120
START = "time=2026-11-22T10:00:03.120Z level=info"
PAIRS = "method=GET path=/a status=200 bytes=5 remote_addr=192.0.2.1"


def line(pairs=PAIRS, rest=""):
    return f"{START} {pairs}{rest}".encode()


def parsed(method="GET", target="/a", status=200, size=5, peer="192.0.2.1", **rest):
    return Parsed(AT, peer, method, target, status, size, **rest)


CASES = [
    ("usual", line(), parsed()),
    ("another order",
     b'status=200 remote_addr=192.0.2.1 bytes=5 path=/a method=GET time="2026-11-22 10:00:03.120"',
     parsed()),
    ("quoted", line(rest=' user_agent="curl (8.5)" msg="GET /b 404"'),
     parsed(user_agent="curl (8.5)")),
    ("other names", b"ts=1795341603.120 verb=GET uri=/a status_code=200 size=5 client_ip=192.0.2.1",
     parsed()),
    ("request line", line('request="GET /a HTTP/1.1" status=200 bytes=5 remote_addr="192.0.2.1"'),
     parsed()),
    ("dotted names",
     line("http.method=GET url.path=/a http.response.status_code=200 http.response.bytes=5 "
          "client.ip=192.0.2.1"), parsed()),
    ("query apart", line(rest=" query=b=1"), parsed(target="/a?b=1")),
    ("grafana's time", line().replace(b"time=", b"t="), parsed()),
    ("user", line(rest=" user=ann session_id=s1"), parsed(asserted="ann", session="s1")),
    ("claimed", line(rest=" x_user_id=17"), parsed(claimed="17")),
    ("forwarded", line(rest=' x_forwarded_for="198.51.100.1, 203.0.113.9"'),
     parsed(forwarded="198.51.100.1, 203.0.113.9")),
    ("forwarded, heroku", line("method=GET path=/a status=200 bytes=5", ' fwd="203.0.113.9"'),
     parsed(peer="", forwarded="203.0.113.9")),
    ("nothing", line(rest=' user= session_id="" host=- request_id=null user_agent=<nil>'),
     parsed()),
    ("null in quotes is a name", line(rest=' user="nil"'), parsed(asserted="nil")),
    ("bare words", line("done " + PAIRS, " (ok) - true"), parsed()),
    ("twice: the first", line(rest=" status=500 path=/b user=ann user=bob"),
     parsed(asserted="ann")),
    ("escapes", line(rest=r' agent="a\"b\\c\td\u00e9\ud83d\ude00\U0001f600\x22\xc3\xa9\xff\/"'),
     parsed(user_agent='a"b\\c\tdé\U0001f600\U0001f600"é\\xff/')),
    ("no such character", line(rest=r' user_agent="\Uffffffff\ud83d"'),
     parsed(user_agent="\ufffd\ufffd")),
    ("a backslash outside of quotes", line(rest=r" user=CORP\ann"), parsed(asserted=r"CORP\ann")),
    ("pairs forged in a quoted value", line('agent="x status=500 path=/b" ' + PAIRS),
     parsed(user_agent="x status=500 path=/b")),
    ("pairs forged behind an escaped quote", line(r'agent="x\" status=500 path=/b" ' + PAIRS),
     parsed(user_agent='x" status=500 path=/b')),
    ("pairs in a value that was cut off", line(rest=' agent="x user=ann session=s1'),
     parsed(user_agent="x user=ann session=s1")),
    ("cut off within an escape", line(rest=' agent="x user=ann\\'),
     parsed(user_agent="x user=ann")),
    ("a quote in a bare value", line(rest=' user=a"b'), parsed(asserted='a"b')),
    ("text behind a quoted value", line(rest=' user="a"b'), parsed(asserted='"a"b')),
    ("tabs between", line().replace(b" ", b"\t"), parsed()),
    ("CR", line() + b"\r\n", parsed()),
    ("raw bytes", line().replace(b"/a", b"/\xff"), parsed(target="/\\xff")),
]  # fmt: skip

BAD = [
    ("json", b'{"time":"2026-11-22T10:00:03Z"}', "not_this_format"),
    ("nginx with named fields",
     b'192.0.2.1 - - [22/Nov/2026:10:00:03 +0000] "GET / HTTP/1.1" 200 5 "-" "-" rt=0.1 uct="0.0"',
     "not_this_format"),
    ("pairs in quotes alone", b'"time=2026-11-22T10:00:03Z ' + PAIRS.encode(), "not_this_format"),
    ("bad time", line().replace(b"-22T", b"-32T"), "bad_time"),
    ("no time", PAIRS.encode(), "no_time"),
    ("no address", START.encode() + b" method=GET path=/a status=200", "no_address"),
    ("no request", START.encode() + b' msg="started" remote_addr=192.0.2.1', "no_request"),
    ("bad status", line().replace(b"=200", b"=ok"), "bad_status"),
]  # fmt: skip


LINES = [*CASES, *BAD]


@pytest.mark.parametrize(("name", "data", "expected"), LINES, ids=[c[0] for c in LINES])
def test_lines(name, data, expected):
    assert outcome(data) == expected


def test_a_line_without_a_time_is_handed_over_to_what_carried_it():
    heroku = (
        b'at=info method=GET path="/a" host=app.example.com request_id=e5bb3580 fwd="203.0.113.9" '
        b"dyno=web.1 connect=0ms service=2ms status=200 bytes=5"
    )
    with pytest.raises(Timeless) as caught:
        parse(heroku)
    assert caught.value.parsed == Parsed(
        0, "", "GET", "/a", 200, 5, "203.0.113.9", "app.example.com", request_id="e5bb3580"
    )


def test_keys_that_the_configuration_names():
    fields = {"principal": "auth_user", "claimed_user": "acting_for"}
    found = parse(line(rest=" auth_user=ann acting_for=17"), fields=fields)
    assert found == parsed(principal="ann", claimed="17", logs_principal=True)


def test_sniff_knows_requests_and_no_other_pairs():
    bad = {name: data for name, data, _ in BAD}
    assert FORMAT.sniff([line()] * 4) == pytest.approx(0.8)
    assert FORMAT.sniff([line(), b"junk", b"\xff\0", b'{"a":1}']) == pytest.approx(0.2)
    # Where a log has no times, those of syslog may be had.
    assert FORMAT.sniff([bad["no time"]]) == pytest.approx(0.8)
    assert (
        FORMAT.sniff(
            [
                bad["nginx with named fields"],
                bad["no request"],
                b"level=info ts=2026-11-22T10:00:03Z msg=up",
            ]
        )
        == 0
    )
    assert FORMAT.sniff([START.encode() + b" remote_addr=192.0.2.1 path=/a"]) == 0


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cs"])))
def test_no_quoted_value_can_change_another(agent):
    # As Go's strconv.Quote writes it.
    written = "".join(
        char if char.isprintable() and char not in '"\\' else f"\\U{ord(char):08x}"
        for char in agent
    ).replace("\\U00000022", r"\"")
    found = parse(line(f'user_agent="{written}" ' + PAIRS))
    found.user_agent = None
    assert found == parsed()


HOSTILE = [
    ("equals", lambda n: line(rest=" " + "=" * n), lambda _: parsed()),
    ("keys", lambda n: line(rest=" a" * n), lambda _: parsed()),
    ("long key", lambda n: line(rest=" " + "a" * n + "=b"), lambda _: parsed()),
    ("open quotes", lambda n: line(rest=' a="b' * n), lambda _: parsed()),
    ("escaped quotes", lambda n: line(rest=' a="' + '\\" b="' * n), lambda _: parsed()),
    ("backslashes", lambda n: line(rest=' agent="' + "\\" * (2 * n) + '"'),
     lambda n: parsed(user_agent="\\" * n)),
    ("escapes", lambda n: line(rest=' agent="' + r"\u0041" * n + '"'),
     lambda n: parsed(user_agent="A" * n)),
    ("spaces", lambda n: line(rest=" " * n + "x"), lambda _: parsed()),
    ("one key many times", lambda n: line(rest=" user=ann" * n), lambda _: parsed(asserted="ann")),
]  # fmt: skip


@pytest.mark.parametrize(("name", "shape", "expected"), HOSTILE, ids=[c[0] for c in HOSTILE])
def test_a_huge_line_is_read_as_a_short_one_is(name, shape, expected):
    assert unlike(outcome, shape, expected) == []
