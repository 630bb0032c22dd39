import pytest

from intake.formats.spring import FORMAT
from intake.line import Parsed
from intake.settings import Trust
from tests.intake.formats._lines import readers, unlike

AT = 1_795_341_603_000
ACCESS = '192.0.2.1 - - [22/Nov/2026:10:00:03 +0000] "GET /a HTTP/1.1" 200 5 12'
TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
NETTY = "reactor.netty.http.server.AccessLog"
BOOT = "2026-11-22T10:00:03.123Z  INFO 1 ---"
OLD = "2026-11-22 10:00:03.123  INFO"
THREAD = "[or-http-epoll-2]"

COLOURED = (
    f"\x1b[2m{OLD}\x1b[0;39m \x1b[35m1\x1b[0;39m \x1b[2m---\x1b[0;39m "
    f"\x1b[2m{THREAD}\x1b[0;39m \x1b[36m{NETTY}\x1b[0;39m \x1b[2m:\x1b[0;39m "
)


def parsed(peer="192.0.2.1", target="/a", size=5, **rest):
    return Parsed(AT, peer, "GET", target, 200, size, **rest)


PREFIXES = [
    ("Boot 2", f"{OLD} 13124 --- {THREAD} {NETTY}      : ", None),
    ("Boot 3", f"{BOOT} {THREAD} {NETTY}      : ", None),
    ("an offset", f"2026-11-22T10:00:03.123+01:00  INFO 1 --- {THREAD} {NETTY} : ", None),
    ("an application", f"{BOOT} [gateway] {THREAD} {NETTY} : ", None),
    ("an application of a group", f"{BOOT} [gateway] [shop] {THREAD} {NETTY} : ", None),
    ("a padded thread", f"{BOOT} [           main] {NETTY} : ", None),
    ("a trace", f"{BOOT} [gateway] {THREAD} [{TRACE}-{SPAN}] {NETTY} : ", TRACE),
    ("room for a trace", f"{BOOT} [gateway] {THREAD} [{' ' * 49}] {NETTY} : ", None),
    ("Sleuth", f"{OLD} [gateway,{SPAN},{SPAN},true] 1 --- {THREAD} {NETTY} : ", SPAN),
    ("Sleuth without a trace", f"{OLD} [gateway,,] 1 --- {THREAD} {NETTY} : ", None),
    ("a short logger", f"{BOOT} {THREAD} r.netty.http.server.AccessLog : ", None),
    ("plain Logback", f"10:00:03.123 {THREAD} INFO {NETTY} - ", None),
    ("newer plain Logback", f"10:00:03.123 {THREAD} INFO  {NETTY} -- ", None),
    ("a pattern of one's own", f"2026-11-22-10:00:03.123 INFO  {THREAD} {NETTY} -  - - ", None),
    ("Undertow", f"{BOOT} [  XNIO-1 task-1] io.undertow.accesslog     : ", None),
    ("Jetty", f"{BOOT} [qtp5322-31] org.eclipse.jetty.server.RequestLog      : ", None),
    ("colours", COLOURED, None),
]  # fmt: skip


parse, outcome = readers(FORMAT)


@pytest.mark.parametrize(("name", "prefix", "trace"), PREFIXES, ids=[c[0] for c in PREFIXES])
def test_prefixes(name, prefix, trace):
    line = (prefix + ACCESS).encode()
    assert parse(line) == parsed(trace_id=trace)
    assert FORMAT.sniff([line]) == 1


CLOCK = "[22/Nov/2026:10:00:03 +0000]"
PREFIX = f"{BOOT} {THREAD} {NETTY} : "
LINES = [
    ("its own file", ACCESS, parsed()),
    ("before Reactor Netty 1.0", PREFIX + ACCESS.replace("5 12", "5 8080 12 ms"), parsed()),
    ("an address with its port", PREFIX + ACCESS.replace("192.0.2.1", "192.0.2.1:54321"),
     parsed("192.0.2.1:54321")),
    ("IPv6 as Java writes it", PREFIX + ACCESS.replace("192.0.2.1", "2001:db8:0:0:0:0:0:1"),
     parsed("2001:db8:0:0:0:0:0:1")),
    ("IPv6 with a port", PREFIX + ACCESS.replace("192.0.2.1", "2001:db8:0:0:0:0:0:1:54321"),
     parsed("2001:db8:0:0:0:0:0:1")),
    ("as Spring Boot documents it", f'{CLOCK} 192.0.2.1 "GET /a HTTP/1.1" 200 (12 ms)',
     parsed(size=-1)),
    ("without quotes", f"{CLOCK} 192.0.2.1 GET /a HTTP/1.1 200 (12 microseconds)",
     parsed(size=-1)),
    ("an answer forged there",
     f"{CLOCK} 192.0.2.1 GET /a 403 (1 ms) HTTP/1.1 200 (12 milliseconds)",
     parsed(target="/a 403 (1 ms)", size=-1)),
    ("a user", PREFIX + ACCESS.replace("- -", "- ann"), parsed(asserted="ann", basic_user=True)),
    ("a quote in the target", PREFIX + ACCESS.replace("/a", '/a?x="y"'), parsed(target='/a?x="y"')),
    ("combined", PREFIX + ACCESS.replace("5 12", '5 "-" "a "b"" 7'), parsed(user_agent='a "b"')),
]  # fmt: skip


@pytest.mark.parametrize(("name", "text", "expected"), LINES, ids=[c[0] for c in LINES])
def test_lines(name, text, expected):
    assert parse(text.encode()) == expected


OTHERS = [
    ("start", f"{BOOT} [  main] o.s.b.w.e.tomcat.TomcatWebServer : Tomcat started on port 8080"),
    ("a line forged in a text that is logged",
     f"{BOOT} {THREAD} com.example.Login : {PREFIX}{ACCESS}"),
    ("only the logger forged", f"{BOOT} {THREAD} com.example.Login : {NETTY} : {ACCESS}"),
    ("a line forged in what a pattern has in brackets",
     f"{BOOT} [x] {NETTY} : {ACCESS}] com.example.Login : hello"),
    ("a stack trace", "\tat reactor.netty.http.server.AccessLogHandler.write(AccessLog.java:1)"),
    ("no address", PREFIX + ACCESS.replace("192.0.2.1", "-")),
    ("an access log's own trouble", PREFIX + "cannot write"),
    ("no address, as Spring Boot documents it", f"{CLOCK} ann GET /a HTTP/1.1 200 (12 ms)"),
    ("no time taken", f"{CLOCK} 192.0.2.1 GET /a HTTP/1.1 200"),
    ("json", '{"message":"reactor.netty.http.server.AccessLog"}'),
    ("no time", PREFIX + ACCESS.replace("22/Nov/2026:10:00:03 ", "")),
]  # fmt: skip


@pytest.mark.parametrize(("name", "text"), OTHERS, ids=[c[0] for c in OTHERS])
def test_other_lines_of_the_application(name, text):
    assert outcome(text.encode()) in {"not_this_format", "bad_time"}
    assert FORMAT.sniff([text.encode()]) == 0


def test_an_owner_who_vouches():
    line = (PREFIX + ACCESS.replace("- -", "- ann")).encode()
    found = parse(line, trust=Trust(principal="gateway"))
    assert found == parsed(principal="ann", logs_principal=True)


def test_sniff_leaves_lines_without_a_prefix_to_others():
    assert FORMAT.sniff([ACCESS.encode()]) == 0
    assert FORMAT.sniff([ACCESS.replace("5 12", "5 8080 12 ms").encode()]) == 1
    assert FORMAT.sniff([(PREFIX + ACCESS).encode(), b"  at java.base/x"]) == 0.5


@pytest.mark.parametrize("begin", ["", BOOT, PREFIX, f"{CLOCK} 192.0.2.1 GET /a"])
@pytest.mark.parametrize(
    "part", ["[", "[a] ", "INFO ", "1 ", " ", "-", "\x1b[", "AccessLog ", ": ", " 200 (1 ms)"]
)
def test_a_huge_line_is_refused_as_a_short_one_is(part, begin):
    def line(n):
        return (begin + part * n + NETTY).encode()

    assert unlike(outcome, line, lambda _: "not_this_format") == []
