import pytest
from hypothesis import given
from hypothesis import strategies as st

from intake.formats._apache_layout import apache_layout
from intake.formats._compiled import compiled, first_of
from intake.formats._nginx_layout import nginx_layout
from intake.line import Parsed, Unreadable
from intake.settings import Fields, IdentityHeader, IntakeSettings, Join, Trust
from tests.intake.formats._lines import hex_escaped

AT = 1_795_341_603_000
TIME = "22/Nov/2026:10:00:03 +0000"
BEGIN = '$remote_addr [$time_local] "$request" $status $body_bytes_sent'
LINE = f'192.0.2.1 [{TIME}] "GET /a HTTP/1.1" 200 5'


def parsed(method="GET", target="/a", status=200, size=5, peer="192.0.2.1", **rest):
    return Parsed(AT, peer, method, target, status, size, **rest)


def nginx(text, line, **settings):
    return compiled(nginx_layout(text), IntakeSettings(**settings))(line)


def apache(text, line, **settings):
    return compiled(apache_layout(text), IntakeSettings(**settings), no_size=0)(line)


NGINX = [
    ("the least", BEGIN, LINE, parsed()),
    ("another text", BEGIN, "hello", None),
    ("a field more", BEGIN, LINE + " 7", None),
    ("claimed", BEGIN + ' "$http_x_user_id"', LINE + ' "17"', parsed(claimed="17")),
    ("forwarded", BEGIN + ' "$http_x_forwarded_for"', LINE + ' "192.0.2.9, x"',
     parsed(forwarded="192.0.2.9, x")),
    ("forwarded, appended to", BEGIN + ' "$proxy_add_x_forwarded_for"', LINE + ' "192.0.2.9"',
     parsed(forwarded="192.0.2.9")),
    ("forwarded, with the peer appended", '$proxy_add_x_forwarded_for [$time_local] "$request"',
     f'x, 192.0.2.9, 192.0.2.1 [{TIME}] "GET /a HTTP/1.1"',
     parsed(status=0, size=-1, forwarded="x, 192.0.2.9")),
    ("the peer alone", '$proxy_add_x_forwarded_for [$time_local] "$request"',
     f'192.0.2.1 [{TIME}] "GET /a HTTP/1.1"', parsed(status=0, size=-1)),
    ("RFC 7239", BEGIN + ' "$http_forwarded"', LINE + r' "for=\x22[2001:db8::1]\x22"',
     parsed(forwarded_elements='for="[2001:db8::1]"')),
    ("real ip", BEGIN + ' "$http_x_real_ip"', LINE + ' "192.0.2.9"', parsed(client="192.0.2.9")),
    ("PROXY protocol besides", BEGIN + " $proxy_protocol_addr", LINE + " 192.0.2.9",
     parsed(forwarded="192.0.2.9")),
    ("PROXY protocol instead", '$proxy_protocol_addr [$time_local] "$request"',
     f'192.0.2.1 [{TIME}] "GET /a HTTP/1.1"', parsed(status=0, size=-1)),
    ("the peer beside the real ip", BEGIN + " $realip_remote_addr", LINE + " 10.0.0.1", parsed()),
    ("session", BEGIN + ' "$cookie_sessionid"', LINE + ' "s3"', parsed(session="s3")),
    ("session, a name of one's own", BEGIN + ' "$cookie_shop_session"', LINE + ' "s3"',
     parsed(session="s3")),
    ("another cookie", BEGIN + ' "$cookie_theme"', LINE + ' "dark"', parsed()),
    ("cookies", BEGIN + ' "$http_cookie"', LINE + ' "a=b; sid=s3"', parsed(session="s3")),
    ("authorization", BEGIN + ' "$http_authorization"', LINE + ' "Bearer abc"',
     parsed(authorization="Bearer abc", logs_principal=True)),
    ("user", BEGIN + ' "$remote_user"', LINE + ' "ann"', parsed(asserted="ann", basic_user=True)),
    ("subject", BEGIN + ' "$jwt_claim_sub"', LINE + ' "ann"', parsed(asserted="ann")),
    ("host", BEGIN + " $host", LINE + " api.example.com", parsed(host="api.example.com")),
    ("location", BEGIN + ' "$sent_http_location"', LINE + ' "/b"', parsed(location="/b")),
    ("trace", BEGIN + ' "$http_traceparent"',
     LINE + ' "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"',
     parsed(trace_id="0af7651916cd43dd8448eb211c80319c")),
    ("request id", BEGIN + " $request_id", LINE + " " + "ab" * 16,
     parsed(request_id="ab" * 16)),
    ("upstreams", BEGIN + " $upstream_addr $upstream_status",
     LINE + " 10.0.0.1:80, unix:/a : [2001:db8::1]:80 502, 504 : 200",
     parsed(upstream_status="502, 504 : 200")),
    ("no upstream", BEGIN + " $upstream_addr $upstream_status", LINE + " - -", parsed()),
    ("a header that is called as a variable", BEGIN + ' "$http_method" "$http_status"',
     LINE + ' "PUT" "500"', parsed()),
    ("parts of a request", '$remote_addr [$time_local] "$request_method $uri?$args" $status',
     f'192.0.2.1 [{TIME}] "GET /a b?x=1" 200', parsed(target="/a b?x=1", size=-1)),
    ("whole target beats path", '$remote_addr [$time_local] "$uri" "$request_uri" $request_method',
     f'192.0.2.1 [{TIME}] "/b" "/a" GET', parsed(status=0, size=-1)),
    ("bytes of the body beat all bytes", BEGIN + " $bytes_sent", LINE + " 300", parsed()),
    ("all bytes", '$remote_addr [$time_local] "$request" $bytes_sent',
     f'192.0.2.1 [{TIME}] "GET /a HTTP/1.1" 300', parsed(status=0, size=300)),
    ("milliseconds", '$remote_addr $msec "$request" [$time_local]',
     f'192.0.2.1 1795341603.000 "GET /a HTTP/1.1" [{TIME}]', parsed(status=0, size=-1)),
    ("ISO time", '$remote_addr $time_iso8601 "$request"',
     '192.0.2.1 2026-11-22T11:00:03+01:00 "GET /a HTTP/1.1"', parsed(status=0, size=-1)),
    ("json", 'escape=json {"a":"$remote_addr","t":$msec,"r":"$request","u":"$http_x_user_id"}',
     r'{"a":"192.0.2.1","t":1795341603.000,"r":"GET /a\"b HTTP/1.1","u":"1\\7"}',
     parsed(target='/a"b', status=0, size=-1, claimed="1\\7")),
    ("nothing escaped", 'escape=none $remote_addr $msec "$request"',
     r'192.0.2.1 1795341603.000 "GET /a"\x22 HTTP/1.1"',
     parsed(target=r'/a"\x22', status=0, size=-1)),
    ("empty request", BEGIN, LINE.replace("GET /a HTTP/1.1", "").replace("200", "400"),
     parsed("", "", 400)),
    ("TLS to a plain port", BEGIN, LINE.replace("GET /a HTTP/1.1", r"\x16\x03\x01"),
     parsed("", "")),
    ("no status, no size", BEGIN, LINE.replace("200 5", "000 -"), parsed(status=0, size=-1)),
    ("a socket", BEGIN, LINE.replace("192.0.2.1", "unix:"), parsed(peer="unix:")),
    ("IPv6 and a port", '$remote_addr:$remote_port [$time_local] "$request" $status $bytes_sent',
     LINE.replace("192.0.2.1", "2001:db8::1:8080"), parsed(peer="2001:db8::1")),
    ("a bare header, the last", BEGIN + " $http_x_user_id", LINE + " 17 200",
     parsed(claimed="17 200")),
    ("what a map made", BEGIN + " $user_id $request_time", LINE + " 17 0.003",
     parsed(asserted="17")),
]  # fmt: skip


@pytest.mark.parametrize(("name", "text", "line", "expected"), NGINX, ids=[c[0] for c in NGINX])
def test_lines_of_nginx(name, text, line, expected):
    assert nginx(text, line) == expected


HEAD = f'192.0.2.1 - - [{TIME}] "GET /a HTTP/1.1" 200 5'
APACHE = [
    ("common", "common", HEAD, parsed()),
    ("no body", "common", HEAD.replace("200 5", "304 -"), parsed(status=304, size=0)),
    ("no size is logged", '%h %t "%r" %>s', f'192.0.2.1 [{TIME}] "GET /a HTTP/1.1" 200',
     parsed(size=-1)),
    ("empty user", "common", HEAD.replace("- - [", '- "" ['), parsed()),
    ("user with spaces", "common", HEAD.replace("- - [", "- ann lee ["),
     parsed(asserted="ann lee", basic_user=True)),
    ("a line forged in the user", "common",
     HEAD.replace("- - [", "- x [01/Jan/2026:00:00:00 +0000] ["),
     parsed(asserted="x [01/Jan/2026:00:00:00 +0000]", basic_user=True)),
    ("vhost_combined", "vhost_combined", rf'www.example.com:443 {HEAD} "-" "a \"b\""',
     parsed(host="www.example.com", user_agent='a "b"')),
    ("claimed", '%h %l %u %t "%r" %>s %b "%{X-User-ID}i"', HEAD + ' "17"', parsed(claimed="17")),
    ("client and peer", '%a %{c}a %t "%r"', f'192.0.2.1 10.0.0.1 [{TIME}] "GET /a HTTP/1.1"',
     parsed(status=0, size=-1)),
    ("peer alone", '%{c}a %t "%r"', f'192.0.2.1 [{TIME}] "GET /a HTTP/1.1"',
     parsed(status=0, size=-1)),
    ("address beats host name", '%h %a %t "%r"',
     f'client.example.net 192.0.2.1 [{TIME}] "GET /a HTTP/1.1"', parsed(status=0, size=-1)),
    ("id, cookie and times", '%h %t "%r" %{UNIQUE_ID}e "%{sid}C" %D %T',
     f'192.0.2.1 [{TIME}] "GET /a HTTP/1.1" aB@-3 "s3" 123 0',
     parsed(status=0, size=-1, request_id="aB@-3", session="s3")),
    ("parts of a request", '%h %t "%m %U%q %H" %>s',
     f'192.0.2.1 [{TIME}] "GET /a?x=1 HTTP/1.1" 200', parsed(target="/a?x=1", size=-1)),
    ("last status beats first", '%h %t "%r" %s %>s',
     f'192.0.2.1 [{TIME}] "GET /a HTTP/1.1" 302 200', parsed(size=-1)),
    ("first status", '%h %t "%r" %s', f'192.0.2.1 [{TIME}] "GET /a HTTP/1.1" 200',
     parsed(size=-1)),
    ("time in parts", '%{%d/%b/%Y %T}t.%{msec_frac}t %{%z}t %h "%r"',
     '22/Nov/2026 11:00:03.000 +0100 192.0.2.1 "GET /a HTTP/1.1"', parsed(status=0, size=-1)),
    ("time in numbers", '%{%F %H:%M:%S}t %h "%r"',
     '2026-11-22 10:00:03 192.0.2.1 "GET /a HTTP/1.1"', parsed(status=0, size=-1)),
    ("time since 1970", '%{sec}t.%{msec_frac}t %h "%r"',
     '1795341603.000 192.0.2.1 "GET /a HTTP/1.1"', parsed(status=0, size=-1)),
    ("Tomcat's numbers", '%h %t "%r" %s %b %T %I %S',
     f'192.0.2.1 [{TIME}] "GET /a HTTP/1.1" 200 - 0.003 http-nio-8080-exec-1 -',
     parsed(size=0)),
    ("microseconds since 1970", '%{usec}t %h "%r"', '1795341603000000 192.0.2.1 "GET /a HTTP/1.1"',
     parsed(status=0, size=-1)),
]  # fmt: skip


@pytest.mark.parametrize(("name", "text", "line", "expected"), APACHE, ids=[c[0] for c in APACHE])
def test_lines_of_apache(name, text, line, expected):
    assert apache(text, line) == expected


def test_settings_name_fields_as_in_records():
    fields = Fields(principal="http_x_auth_user", tenant="x-shop", session="cookie_cart")
    text = BEGIN + ' "$http_x_auth_user" "$http_x_shop" "$cookie_cart"'
    found = nginx(text, LINE + ' "17" "eu" "s3"', fields=fields)
    assert found == parsed(principal="17", tenant="eu", session="s3", logs_principal=True)
    text = '%h %t "%r" %>s %b "%{X-Shop}i" "%{AUTH_USER}e"'
    line = f'192.0.2.1 [{TIME}] "GET /a HTTP/1.1" 200 5 "eu" "17"'
    found = apache(text, line, fields=Fields(principal="AUTH_USER", tenant="x_shop"))
    assert found == parsed(principal="17", tenant="eu", logs_principal=True)


def test_fields_of_other_logs_are_none_of_this_one():
    fields = Fields(principal="auth.sub", time="when", client_ip="who.ip")
    assert nginx(BEGIN, LINE, fields=fields) == parsed()


def test_identity_and_internal_headers():
    found = nginx(
        BEGIN + ' "$http_x_person" "$http_x_debug"',
        LINE + ' "17" "1"',
        identity_headers=[IdentityHeader(name="X-Person")],
        internal_headers=["X-Debug"],
    )
    assert found == parsed(claimed="17", internal=("X-Debug",))


def test_an_owner_who_vouches():
    trust = Trust(principal="gateway")
    text = BEGIN + ' "$remote_user"'
    assert nginx(text, LINE + ' "ann"', trust=trust) == parsed(principal="ann", logs_principal=True)
    assert nginx(text, LINE + ' "-"', trust=trust) == parsed(logs_principal=True)


def test_a_layout_without_a_client_is_refused_where_no_logs_are_joined():
    text, line = '[$time_local] "$request"', f'[{TIME}] "GET /a HTTP/1.1"'
    with pytest.raises(ValueError, match="has no client address: log \\$remote_addr"):
        nginx(text, line)
    join = Join(gateway=["a"], service=["b"])
    assert nginx(text, line, join=join) == parsed(status=0, size=-1, peer="")


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ('%{%d/%b/%Y %T}t %h "%r"', '22/Foo/2026 10:00:03 192.0.2.1 "GET /a HTTP/1.1"', "bad_time"),
        ('%t %a "%r"', f'[{TIME}] - "GET /a HTTP/1.1"', "no_address"),
    ],
)
def test_what_is_no_event(text, line, reason):
    with pytest.raises(Unreadable) as caught:
        apache(text, line)
    assert caught.value.reason == reason


def test_the_first_layout_that_fits_reads_the_line():
    def otherwise(line):
        raise Unreadable("not_this_format")

    settings = IntakeSettings()
    texts = (BEGIN + ' "$http_x_user_id"', BEGIN + ' "$http_referer" $host', BEGIN + " $my_map")
    parse = first_of([compiled(nginx_layout(text), settings) for text in texts], otherwise)
    assert parse(f'{LINE} "17"'.encode()) == parsed(claimed="17")
    assert parse(f'{LINE} "/b" h\r\n'.encode()) == parsed(referer="/b", host="h")
    assert parse(f"{LINE} ".encode()) == parsed(), "a value that was empty"
    with pytest.raises(Unreadable):
        parse(b"hello")
    assert first_of([], otherwise) is otherwise


LISTS = "$upstream_addr $upstream_response_time $upstream_status"


@pytest.mark.parametrize("part", ["a, ", "1 : ", "1.2.3.4:80, ", " ", " 200", "a", " - "])
def test_a_huge_line_of_lists_is_refused_as_a_short_one_is(part):
    # Whatever takes work like the square of the line does not get to an end here.
    layout = nginx_layout(f'{BEGIN} "$host" $http_x_forwarded_for {LISTS}')
    reading = compiled(layout, IntakeSettings())
    for n in (50, 500_000 // len(part)):
        assert reading(f'{LINE} "h" {part * n}"') is None


@given(st.text(st.characters(codec="utf-8", exclude_characters='"\\\n')), st.text())
def test_no_header_can_forge_another(agent, junk):
    text = BEGIN + ' "$http_user_agent" "$http_x_user_id" "$http_x_evil"'
    found = nginx(text, f'{LINE} "{hex_escaped(agent)}" "17" "{hex_escaped(junk)}"')
    assert found is not None
    assert (found.peer, found.target, found.status, found.claimed) == ("192.0.2.1", "/a", 200, "17")


@given(st.text(max_size=60), st.integers(0, 60))
def test_any_text_is_a_line_or_none(junk, at):
    for text in (junk, LINE[:at] + junk + LINE[at:], LINE[:at] + junk):
        try:
            found = nginx(BEGIN, text)
        except Unreadable:
            continue
        assert found is None or isinstance(found, Parsed)
