from contextlib import suppress

import pytest
from hypothesis import given

from intake.formats.iis import FORMAT
from intake.line import Parsed, Unreadable
from intake.settings import IntakeSettings
from tests.intake.formats._lines import FEW, JUNK, MANY, answer, torn, unlike

AT = 1_795_341_603_000
USUAL = (
    "date time s-ip cs-method cs-uri-stem cs-uri-query s-port cs-username c-ip cs(User-Agent) "
    "cs(Referer) sc-status sc-substatus sc-win32-status time-taken"
)
AGENT = "Mozilla/5.0+(Windows+NT+10.0;+Win64;+x64)"
EDGE = (
    "date time x-edge-location sc-bytes c-ip cs-method cs(Host) cs-uri-stem sc-status cs(Referer) "
    "cs(User-Agent) cs-uri-query cs(Cookie) x-edge-request-id x-host-header x-forwarded-for "
    "sc-content-len"
)


def line(stem="/a", *, query="-", method="GET", user="-", peer="192.0.2.1", agent=AGENT,
         referer="-", answer="200 0 0", rest=""):  # fmt: skip
    return (
        f"2026-11-22 10:00:03 10.0.0.4 {method} {stem} {query} 443 {user} {peer} {agent} "
        f"{referer} {answer} 31{rest}"
    ).encode()


def tabbed(columns):
    return f"2026-11-22 10:00:03 {columns}".replace(" ", "\t").encode()


def parsed(method="GET", target="/a", status=200, size=-1, peer="192.0.2.1", **rest):
    known = {"user_agent": "Mozilla/5.0 (Windows NT 10.0; Win64; x64)"}
    return Parsed(AT, peer, method, target, status, size, **known | rest)


def bare(*args, **rest):
    return parsed(*args, **{"user_agent": None} | rest)


def outcome(data, names=USUAL, **settings):
    parse = FORMAT.parser(IntakeSettings(**settings))
    parse.memory = names
    return answer(parse, data)


CASES = [
    ("usual", line(), parsed()),
    ("CR", line() + b"\r\n", parsed()),
    ("query", line(query="fields=email&x=a+b"), parsed(target="/a?fields=email&x=a+b")),
    ("basic user", line(user="CORP\\ann"), parsed(asserted="CORP\\ann", basic_user=True)),
    ("ipv6", line(peer="2001:db8::17"), parsed(peer="2001:db8::17")),
    ("ipv6, zone", line(peer="fe80::1%4"), parsed(peer="fe80::1%4")),
    ("referer", line(referer="https://app.example.com/?a+b"),
     parsed(referer="https://app.example.com/?a+b")),
    ("no agent", line(agent="-"), bare()),
    ("a plus in the target stays", line("/users/a+b"), parsed(target="/users/a+b")),
    ("OPTIONS *", line("*", method="OPTIONS"), parsed("OPTIONS", "*")),
    ("refused by request filtering", line("/web.config", answer="404 8 0"),
     parsed(target="/web.config", status=404, blocked_by="404.8")),
    ("not found", line(answer="404 0 2"), parsed(status=404)),
    ("refused by address", line(answer="403 501 0"), parsed(status=403, blocked_by="403.501")),
    ("refused by the application", line(answer="403 0 0"), parsed(status=403)),
    ("no status", line(answer="- - -"), parsed(status=0)),
    ("raw bytes", line(agent="x").replace(b" x ", b" a\xff "), parsed(user_agent="a\\xff")),
]  # fmt: skip

OTHERS = [
    ("another order", "c-ip time date sc-status cs-uri-stem cs-method",
     b"192.0.2.1 10:00:03 2026-11-22 200 /a GET", bare()),
    ("upper case", "Date Time C-IP CS-Method CS-URI-Stem SC-Status",
     b"2026-11-22 10:00:03 192.0.2.1 GET /a 200", bare()),
    ("bytes count the header", "date time c-ip cs-method cs-uri-stem sc-status sc-bytes",
     b"2026-11-22 10:00:03 192.0.2.1 GET /a 200 430", bare()),
    ("no bytes", "date time c-ip cs-method cs-uri-stem sc-status sc-bytes",
     b"2026-11-22 10:00:03 192.0.2.1 GET /a 200 0", bare(size=0)),
    ("forwarded", USUAL + " X-Forwarded-For", line(rest=" 198.51.100.1,+203.0.113.9"),
     parsed(forwarded="198.51.100.1, 203.0.113.9")),
    ("forwarded, as a header", USUAL + " cs(X-Forwarded-For)", line(rest=" 203.0.113.9"),
     parsed(forwarded="203.0.113.9")),
    ("forwarded, no peer", "date time cs-method cs-uri-stem X-Forwarded-For",
     b"2026-11-22 10:00:03 GET /a 203.0.113.9", bare(status=0, peer="", forwarded="203.0.113.9")),
    ("no address", "date time cs-uri-stem", b"2026-11-22 10:00:03 /a", bare("", status=0, peer="")),
    ("a site of the web", "date time s-sitename c-ip cs-method cs-uri-stem sc-status",
     b"2026-11-22 10:00:03 W3SVC1 192.0.2.1 GET /a 200", bare()),
    ("an FTP method by HTTP", "date time s-sitename c-ip cs-method cs-uri-stem sc-status",
     b"2026-11-22 10:00:03 W3SVC1 192.0.2.1 DELE /a 200", bare("DELE")),
    ("host", USUAL + " cs-host", line(rest=" api.example.com"), parsed(host="api.example.com")),
    ("host, as a header", USUAL + " cs(Host)", line(rest=" api.example.com"),
     parsed(host="api.example.com")),
    ("cookie", USUAL + " cs(Cookie)", line(rest=" lang=de;+ASP.NET_SessionId=a+b"),
     parsed(session="a+b")),
    ("token", USUAL + " cs(Authorization)", line(rest=" Bearer+a+b"),
     parsed(authorization="Bearer a+b", logs_principal=True)),
    ("claimed", USUAL + " X-User-ID", line(rest=" 17"), parsed(claimed="17")),
    ("location of the answer", USUAL + " sc(Location)", line(rest=" /login"),
     parsed(location="/login")),
    ("whole uri", "date time c-ip cs-method cs-uri sc-status",
     b"2026-11-22 10:00:03 192.0.2.1 GET https://api.example.com/a?b=1 200",
     bare(target="/a?b=1", host="api.example.com")),
    ("HTTP.sys: no request came",
     "date time c-ip c-port cs-version cs-method cs-uri sc-status s-reason",
     b"2026-11-22 10:00:03 192.0.2.1 5000 - - - - Timer_ConnectionIdle",
     bare("", "", 0)),
    ("tabs", EDGE,
     tabbed("LAX1 392 192.0.2.1 GET d1.cdn.example.net /a 200 - Mozilla/5.0%20(X11)%09+ b=1 "
            "lang=de;%20sid=s1 R1== api.example.com 198.51.100.1 78"),
     parsed(target="/a?b=1", size=78, user_agent="Mozilla/5.0 (X11)\t+", session="s1",
            request_id="R1==", host="api.example.com", forwarded="198.51.100.1")),
    ("tabs, client gone", EDGE,
     tabbed("LAX1 0 192.0.2.1 GET d1.cdn.example.net /a 000 - - - - R1== - - -"),
     bare(status=0, size=0, host="d1.cdn.example.net", request_id="R1==")),
]  # fmt: skip

BAD = [
    ("another text", USUAL, b"hello world", "not_this_format"),
    ("nothing", USUAL, b"", "not_this_format"),
    ("one field more", USUAL, line(rest=" x"), "not_this_format"),
    ("one field less", USUAL, line()[:-3], "not_this_format"),
    ("fields", "", b"#Fields: " + USUAL.encode(), "directive"),
    ("software", USUAL, b"#Software: Microsoft Internet Information Services 10.0", "directive"),
    ("no directive", USUAL, b"#fields ts uid", "not_this_format"),
    ("bad time", USUAL, line().replace(b"-22 ", b"-32 "), "bad_time"),
    ("bad status", USUAL, line(answer="2000 0 0"), "bad_status"),
    ("a log without times", "c-ip cs-uri-stem", b"192.0.2.1 /a", "no_time"),
    ("a log without a day", "time c-ip cs-uri-stem", b"10:00:03 192.0.2.1 /a", "no_time"),
    ("a clock that is none", f"time c-ip cs-uri-stem\n{AT}", b"25:00:03 192.0.2.1 /a", "bad_time"),
    ("a date", USUAL, b"#Date: 2026-11-22 10:00:03", "directive"),
    ("a date that is none", USUAL, b"#Date: soon", "directive"),
    ("a log without requests", "date time c-ip", b"2026-11-22 10:00:03 192.0.2.1", "no_request"),
    ("the old FTP service", "time c-ip cs-method cs-uri-stem sc-status\n1795341600000",
     b"10:00:03 192.0.2.1 [2]USER anonymous 331", "not_http"),
    ("FTP", "date time c-ip cs-username s-ip s-port cs-method cs-uri-stem sc-status x-session",
     b"2026-11-22 10:00:03 192.0.2.1 ann 10.0.0.4 21 DELE /a 250 8124db49", "not_http"),
    ("mail", "date time c-ip cs-username s-sitename cs-method cs-uri-stem cs-uri-query sc-status",
     b"2026-11-22 10:00:03 192.0.2.1 mx.example.com SMTPSVC1 MAIL - +FROM:<a@example.com> 250",
     "not_http"),
    ("NULs", USUAL, b"\0" * 100, "binary"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "data", "expected"), CASES, ids=[c[0] for c in CASES])
def test_lines(name, data, expected):
    assert outcome(data) == expected


PLAIN = [case for case in CASES if case[0] not in {"OPTIONS *", "no status"}]


@pytest.mark.parametrize(("name", "data", "expected"), PLAIN, ids=[c[0] for c in PLAIN])
def test_default_fields_need_no_directive(name, data, expected):
    assert outcome(data, names="") == expected


@pytest.mark.parametrize(("name", "fields", "data", "expected"), OTHERS, ids=[c[0] for c in OTHERS])
def test_fields(name, fields, data, expected):
    assert outcome(data, fields) == expected


@pytest.mark.parametrize(("name", "fields", "data", "reason"), BAD, ids=[c[0] for c in BAD])
def test_what_is_no_request(name, fields, data, reason):
    assert outcome(data, fields) == reason


def test_fields_change_in_the_middle_and_are_remembered():
    parse = FORMAT.parser(IntakeSettings())
    assert parse.memory == ""
    other = "date time cs-method cs-uri-stem c-ip sc-status"
    lines = (
        b"#Software: Microsoft Internet Information Services 10.0",
        b"#Fields: " + USUAL.encode() + b"\r\n",
        line(),
        f"#Fields: {other}".encode(),
        b"2026-11-22 10:00:03 GET /b 192.0.2.2 200",
        line(),
    )
    found = [answer(parse, data) for data in lines]
    second = bare(target="/b", peer="192.0.2.2")
    assert found == ["directive", "directive", parsed(), "directive", second, "not_this_format"]
    assert parse.memory == other
    after = FORMAT.parser(IntakeSettings())
    after.memory = parse.memory
    assert after(b"2026-11-22 10:00:03 GET /b 192.0.2.2 200") == second
    # Fields that nobody would configure are no reason to keep so much.
    with pytest.raises(Unreadable):
        parse(b"#Fields: " + b"x " * 5000)
    assert parse.memory == other


def test_other_default_fields_need_no_directive():
    edge = tabbed(
        "LAX1 392 192.0.2.100 GET d1.cdn.example.net /index.html 200 - curl/8.5.0 - - Hit SOX4== "
        "d1.cdn.example.net https 23 0.001 - TLSv1.2 ECDHE-RSA-AES128-GCM-SHA256 Hit HTTP/2.0 - - "
        "11040 0.001 Hit text/html 78 - -"
    )
    found = outcome(edge, names="")
    assert (found.peer, found.target, found.status, found.bytes) == (
        "192.0.2.100", "/index.html", 200, 78,
    )  # fmt: skip
    older = line().replace(b" - 200", b" 200")
    assert outcome(older, names="") == parsed()
    proxied = parsed(forwarded="198.51.100.1, 2001:db8::7")
    for shape in (line(), older):
        assert outcome(shape + b" -", names="") == parsed()
        assert outcome(shape + b" 198.51.100.1,+2001:db8::7", names="") == proxied
        assert outcome(shape + b" 36391", names="") == "not_this_format", "a port, or whatever"
    assert outcome(line().replace(b" 443 ", b" x "), names="") == "not_this_format"
    assert outcome(line().replace(b"192.0.2.1", b"api"), names="") == "not_this_format"


WHOLE = f"GET /a b=1 443 ann 192.0.2.1 {{}}{AGENT} sid=s1 - api.example.com 200 0 0 612 301 15"


@pytest.mark.parametrize("rest", ["", " 198.51.100.1:5000"])
@pytest.mark.parametrize("columns", ["~1APP " + WHOLE.format(""),
                                     "W3SVC1 WEB01 10.0.0.4 " + WHOLE.format("HTTP/1.1 ")],
                         ids=["Azure App Service", "all that IIS has"])  # fmt: skip
def test_longer_default_fields_need_no_directive(columns, rest):
    assert outcome(f"2026-11-22 10:00:03 {columns}{rest}".encode(), names="") == parsed(
        target="/a?b=1", session="s1", host="api.example.com", asserted="ann", basic_user=True,
        forwarded=rest.strip() or None,
    )  # fmt: skip


def test_columns_that_the_configuration_names():
    fields = {"principal": "cs(X-Consumer)", "claimed_user": "s-user"}
    found = outcome(line(rest=" ann 17"), USUAL + " cs(X-Consumer) s-user", fields=fields)
    assert found == parsed(principal="ann", claimed="17", logs_principal=True)
    found = outcome(line(user="ann"), trust={"principal": "gateway"})
    assert found == parsed(principal="ann", logs_principal=True)


def test_sniff_counts_directives_of_access_logs():
    fields = b"#Fields: " + USUAL.encode()
    assert FORMAT.sniff([b"#Version: 1.0", fields, line(), line()]) == 1
    assert FORMAT.sniff([line()]) == 1
    assert FORMAT.sniff([fields]) == 1
    assert FORMAT.sniff([line(), b"junk", b"\xff\0", b'{"a":1}']) == 0.25
    assert FORMAT.sniff([b"#Version: 1.5", b"#Fields: date time action protocol src-ip"]) == 0
    assert FORMAT.sniff([b"192.0.2.1 10:00:03 2026-11-22 200 /a GET"]) == 0


@given(torn(line(rest=" a=b")), JUNK)
def test_any_bytes_are_a_line_or_unreadable_whatever_the_fields(lines, junk):
    for fields in ("", USUAL + " cs(Cookie)", junk.decode("utf-8", "replace")):
        for data in lines:
            assert isinstance(outcome(data, fields), Parsed | str)


HOSTILE = [
    ("spaces", lambda n: b" " * n + b"x" + b" " * n + b"x", lambda _: "not_this_format"),
    ("tabs", lambda n: b"2026-11-22\t" * n + b"x", lambda _: "not_this_format"),
    ("directive", lambda n: b"#Fields: " + b"a " * n, lambda _: "directive"),
    ("pluses", lambda n: line(agent="+" * n + "x"), lambda n: parsed(user_agent=" " * n + "x")),
    ("target", lambda n: line("/" + "a" * n), lambda n: parsed(target="/" + "a" * n)),
    ("colons", lambda n: line(peer=":" * n), lambda n: parsed(peer=":" * n)),
    ("digits", lambda n: line(answer="1" * (n + 1) + " 0 0"), lambda _: "bad_status"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "shape", "expected"), HOSTILE, ids=[c[0] for c in HOSTILE])
def test_a_huge_line_is_read_as_a_short_one_is(name, shape, expected):
    assert unlike(outcome, shape, expected) == []
    for n in (FEW, MANY):
        assert isinstance(outcome(shape(n), ""), Parsed | str)


UNDATED = "time c-ip cs-method cs-uri-stem sc-status"
HOUR = 3_600_000


def test_lines_without_a_date_belong_to_the_day_that_a_directive_names():
    lines = [
        b"#Version: 1.0",
        b"#Date: 2026-11-22 10:00:00",
        b"#Fields: " + UNDATED.encode(),
        *(f"{clock} 192.0.2.1 GET /a 200".encode() for clock in (
            "10:00:03", "23:30:00", "23:59:59", "00:00:01", "23:59:58", "14:00:03", "14:00:02",
        )),
        b"#Date: 2026-11-27 10:00:03",
        b"10:00:03 192.0.2.1 GET /a 200",
    ]  # fmt: skip
    midnight = AT - 10 * HOUR - 3_000 + 24 * HOUR
    times = [
        AT, midnight - HOUR // 2, midnight - 1_000, midnight + 1_000, midnight - 2_000,
        AT + 28 * HOUR, AT + 28 * HOUR - 1_000, AT + 5 * 24 * HOUR,
    ]  # fmt: skip
    for restarts in (False, True):
        parse, found = FORMAT.parser(IntakeSettings()), []
        for data in lines:
            if restarts:
                memory = parse.memory
                parse = FORMAT.parser(IntakeSettings())
                parse.memory = memory
            with suppress(Unreadable):
                found.append(parse(data).time_ms)
        assert found == times
    assert FORMAT.sniff(lines) == 1


def test_memory_is_the_fields_alone_where_lines_have_dates():
    parse = FORMAT.parser(IntakeSettings())
    for data in (b"#Date: 2026-11-22 10:00:00", b"#Fields: " + USUAL.encode(), line()):
        with suppress(Unreadable):
            parse(data)
    assert parse.memory == USUAL
