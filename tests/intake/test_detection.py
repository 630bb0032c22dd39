import json
import re
from functools import cache

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from intake.detection import DENSE, KNOWN, SPARSE, SURE, Formats, SourceLines, Written, again
from intake.line import Unreadable
from intake.settings import IntakeSettings

NGINX = b'192.0.2.7 - - [22/Nov/2026:10:00:00 +0000] "GET /users/18 HTTP/1.1" 200 5 "-" "curl/8"'
COMMON = b'192.0.2.8 - - [22/Nov/2026:10:00:00 +0000] "GET /b HTTP/1.1" 200 5'
JSON = json.dumps(
    {"time": "2026-11-22T10:00:00Z", "client_ip": "192.0.2.9", "request": "GET /c HTTP/1.1",
     "status": 200}
).encode()  # fmt: skip
TEXT = b"2026-11-22 10:00:00,123 INFO worker ready in 12 ms"
APP = b'{"time":"2026-11-22T10:00:00Z","level":"info","msg":"ready","ms":12}'
ERROR = b"2026/11/22 10:00:00 [error] 7#7: *1 open() failed, client: 192.0.2.7, request: GET /a"
LINES = {"nginx": NGINX, "apache": COMMON, "json": JSON}


def cri(line, tag=b"F"):
    return b"2026-11-22T10:00:00.123456789Z stdout %s " % tag + line


def syslog(line):
    return b"<134>Nov 22 10:00:00 web gateway[7]: " + line


def docker(line):
    text = line.decode() + "\n"
    return json.dumps({"log": text, "stream": "stdout", "time": "2026-11-22T10:00:00Z"}).encode()


def shipped(line):
    return json.dumps({"@timestamp": "2026-11-22T10:00:00Z", "message": line.decode()}).encode()


WRAPPED = {
    "": lambda line: line,
    "cri": cri,
    "docker": docker,
    "syslog": syslog,
    "message": shipped,
    "cri+syslog": lambda line: cri(syslog(line)),
    "docker+syslog": lambda line: docker(syslog(line)),
    "syslog+docker": lambda line: syslog(docker(line)),
    "docker+message": lambda line: docker(shipped(line)),
}


@cache
def formats(settings, forced):
    return Formats(IntakeSettings.model_validate_json(settings), forced)


class Source:
    """One source, whose lines come one by one."""

    def __init__(self, settings=None, forced="auto", state=None):
        self.formats = formats(json.dumps(settings or {}), forced)
        self.state = state or Written()
        self.lines = SourceLines(self.formats, self.state)

    def read(self, *lines):
        """Per line the address that was found, or why there is none."""
        found = []
        for line in lines:
            try:
                parsed = self.lines.parse(line)
                found.append(parsed.peer)
            except Unreadable as why:
                self.lines.refused(line, why)
                found.append(why.reason)
        return found

    def again(self):
        """The same source after a restart."""
        self.lines.keep()
        kept = msgspec.msgpack.encode(self.state)
        return Source(state=msgspec.msgpack.decode(kept, type=Written))


ADDRESS = {"nginx": "192.0.2.7", "apache": "192.0.2.8", "json": "192.0.2.9"}
NOISE = [("text", TEXT), ("JSON", APP), ("errors", ERROR), ("nothing", None)]


@pytest.mark.parametrize("noise", [line for _, line in NOISE], ids=[name for name, _ in NOISE])
@pytest.mark.parametrize("wrapper", WRAPPED)
@pytest.mark.parametrize("name", LINES)
def test_a_format_is_found_from_its_first_line_on(name, wrapper, noise):
    source, wrap = Source(), WRAPPED[wrapper]
    if noise is not None:
        assert set(source.read(*[wrap(noise)] * 1000)) <= {"not_this_format", "no_request"}
    assert source.read(*[wrap(LINES[name])] * 3) == [ADDRESS[name]] * 3
    assert (source.state.wrapper, source.state.format) == (wrapper, name)


@pytest.mark.parametrize("wrapper", WRAPPED)
@pytest.mark.parametrize("name", LINES)
def test_a_sample_shows_wrapper_and_format(name, wrapper):
    wrap, known = WRAPPED[wrapper], Source().formats
    assert known.best([wrap(LINES[name])]) == ((wrapper, name), 1)
    sample = [wrap(line) for line in (APP, TEXT, ERROR, *[LINES[name]] * 2, APP, APP)]
    assert known.best(sample) == ((wrapper, name), 2)
    assert known.best([wrap(line) for line in (APP, TEXT, ERROR)]) is None


def test_one_that_is_sure_takes_no_lines_of_another_shape():
    source = Source()
    assert source.read(*[NGINX] * SURE, JSON, cri(NGINX), NGINX) == [
        *["192.0.2.7"] * SURE, "not_this_format", "not_this_format", "192.0.2.7",
    ]  # fmt: skip


@pytest.mark.parametrize("then", ["json", "cri"])
def test_another_format_for_good_is_understood_again(then):
    other = {"json": JSON, "cri": cri(NGINX)}[then]
    source = Source()
    source.read(*[NGINX] * 500)
    found = source.read(*[other] * 100)
    assert found.index(found[-1]) == SURE
    assert set(found[SURE:]) == {ADDRESS["json"] if then == "json" else ADDRESS["nginx"]}


def test_another_format_between_the_lines_is_understood_too():
    source = Source()
    source.read(*[NGINX] * 500)
    found = source.read(*[NGINX, TEXT, JSON] * 60)
    assert found[2::3] == ["not_this_format"] * SURE + ["192.0.2.9"] * (60 - SURE)
    assert found[0::3] == ["192.0.2.7"] * 60
    assert set(found[1::3]) == {"not_this_format"}


def test_records_of_another_kind_beside_requests_are_none():
    started = b'{"time":"2026-11-22T10:00:00Z","client_ip":"192.0.2.9","path":"/c","msg":"started"}'
    source = Source()
    source.read(*[NGINX] * SURE)
    assert set(source.read(*[started] * 200)) == {"not_this_format"}


def test_a_format_after_hours_of_something_else_loses_few_lines():
    source = Source()
    source.read(*[NGINX] * SURE, *[TEXT] * 5000)
    found = source.read(*[JSON] * 200)
    lost = found.count("not_this_format")
    assert SURE <= lost <= SURE + 16
    assert found == ["not_this_format"] * lost + ["192.0.2.9"] * (200 - lost)


def test_hosts_that_have_names_make_it_apache():
    named = NGINX.replace(b"192.0.2.7", b"client.example.net")
    source = Source()
    assert source.read(NGINX, named, NGINX, named) == [
        "192.0.2.7", "client.example.net", "192.0.2.7", "client.example.net",
    ]  # fmt: skip
    assert Source().formats.best([NGINX] * 9 + [named]) == (("", "apache"), 10)


def test_the_rest_of_a_split_line_is_nobodys():
    for before in ([], [cri(NGINX)] * SURE):
        source = Source()
        source.read(*before)
        pieces = [cri(b"x" * 99, b"P"), cri(syslog(NGINX)), cri(NGINX)]
        assert source.read(*pieces) == ["partial", "partial", "192.0.2.7"]
        assert source.read(cri(b"x", b"P")) == ["partial"]
        assert source.again().read(cri(NGINX), cri(NGINX)) == ["partial", "192.0.2.7"]


TIMELESS = b'{"client_ip":"192.0.2.9","request":"GET /c HTTP/1.1","status":200}'


@pytest.mark.parametrize("wrapper", WRAPPED)
def test_a_line_without_a_time_has_its_carriers(wrapper):
    source = Source()
    line = WRAPPED[wrapper](TIMELESS)
    if wrapper in {"", "syslog"}:
        assert source.read(line) == ["no_time" if not wrapper else "not_this_format"]
    else:
        assert source.lines.parse(line).time_ms // 1000 == 1_795_341_600


def test_names_that_the_configuration_explains():
    line = b'{"wann":"2026-11-22T10:00:00Z","wer":"192.0.2.7","was":"GET /a HTTP/1.1","wie":200}'
    fields = {"time": "wann", "client_ip": "wer", "target": "was", "status": "wie"}
    source = Source({"fields": fields})
    assert source.formats.best([APP, line, APP]) == (("", "json"), 1)
    assert source.read(APP, line) == ["no_request", "192.0.2.7"]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (
            b"[Fri Oct 08 17:08:41 2021] [core:error] [pid 7] AH00126: Invalid URI",
            "not_this_format",
        ),
        (b'[{"a":1}]', "not_an_object"),
        (b'["a', "not_json"),
        (b"{a", "not_json"),
        (b"dear diary", "not_this_format"),
    ],
)
def test_only_what_begins_as_json_is_called_bad_json(line, reason):
    assert Source().read(line) == [reason]


def test_a_named_format_is_the_only_one():
    source = Source(forced="json")
    assert source.read(NGINX, cri(JSON), JSON) == ["not_json", "192.0.2.9", "192.0.2.9"]
    assert {name for _, name in source.state.own()} == {"json"}
    with pytest.raises(ValueError, match="unknown format 'w3c'; known: auto, apache"):
        Formats(IntakeSettings(), "w3c")


def test_what_another_version_or_another_call_kept_is_left_out():
    state = Written(format="cobol", also=[("smoke", "nginx"), ("", "nginx")], understood=SURE)
    assert Source(state=state).read(NGINX, JSON) == ["192.0.2.7", "not_this_format"]
    state = Written(format="nginx", understood=SURE)
    assert Source(state=state, forced="json").read(JSON) == ["192.0.2.9"]


def test_what_is_remembered_is_bounded():
    source = Source()
    lines = [WRAPPED[wrapper](line) for wrapper in WRAPPED for line in LINES.values()]
    source.read(*(line for line in lines for _ in range(SURE)))
    assert len(source.state.own()) == KNOWN
    assert len(source.state.strange) <= 64


@given(
    st.lists(
        st.sampled_from([NGINX, COMMON, JSON, cri(NGINX), cri(b"x", b"P"), TEXT, APP]).flatmap(
            lambda line: st.sampled_from([1, 2, 19, 20, 25]).map(lambda count: [line] * count)
        ),
        max_size=6,
    ),
    st.integers(0, 60),
)
def test_a_restart_anywhere_changes_nothing(runs, cut):
    lines = [line for run in runs for line in run]
    whole, first = Source(), Source()
    before = first.read(*lines[:cut])
    second = first.again()
    assert before + second.read(*lines[cut:]) == whole.read(*lines)
    for source in (whole, second):
        source.lines.keep()
    assert second.state == whole.state


def test_labels_name_wrapper_and_format():
    source = Source()
    source.read(*[NGINX] * SURE, *[cri(JSON)] * 3)
    assert source.state.strange == {"cri:json": 3}
    assert all(re.fullmatch(r"[a-z+]*:[a-z-]+", label) for label in source.state.strange)


def test_lines_that_were_read_before_are_read_whatever_came_since():
    source = Source()
    lines = [NGINX, cri(JSON), cri(b"x", b"P")]
    source.read(*(line for line in lines for _ in range(3 * SURE)))
    source.lines.keep()
    before = msgspec.msgpack.encode(source.state)
    parse = again(source.state, IntakeSettings())
    assert [parse(line).peer for line in (cri(JSON), NGINX, COMMON)] == [
        "192.0.2.9", "192.0.2.7", "192.0.2.8",
    ]  # fmt: skip
    assert msgspec.msgpack.encode(source.state) == before


CADDY = {
    "level": "info", "ts": 1795341600.5, "logger": "http.log.access", "msg": "handled request",
    "request": {"remote_ip": "192.0.2.7", "method": "GET", "host": "a.example", "uri": "/a"},
    "bytes_read": 0, "size": 5, "status": 200, "resp_headers": {},
}  # fmt: skip
ERRORS = json.dumps(CADDY | {"level": "error", "logger": "http.log.error", "msg": "refused"})


@pytest.mark.parametrize("logger", ["access", "http.server", "org.example.Access", "tls"])
def test_a_logger_of_another_program_is_no_caddy(logger):
    record = {
        "level": "info", "ts": 1795341600.5, "logger": logger, "msg": "request", "method": "GET",
        "path": "/users/17", "status": 200, "remote_addr": "192.0.2.9", "user_id": "17",
    }  # fmt: skip
    source = Source()
    assert source.read(*[json.dumps(record).encode()] * 40) == ["192.0.2.9"] * 40
    assert source.state.format == "json"


def test_what_a_format_knows_for_no_request_is_none():
    source = Source()
    access, error = json.dumps(CADDY).encode(), ERRORS.encode()
    assert source.read(error, access, error) == ["no_request", "192.0.2.7", "no_request"]
    assert set(source.read(*[access] * SURE, *[error] * 200)) == {"192.0.2.7", "no_request"}
    assert source.state.own() == [("", "caddy")]


def test_a_shape_that_one_format_alone_writes_counts_more_than_who_came_first():
    source = Source(state=Written(format="json", understood=1))
    source.read(json.dumps(CADDY).encode())
    assert source.state.own() == [("", "caddy"), ("", "json")]


def test_a_carried_line_is_no_bare_one():
    forged = b'x [22/Nov/2026:10:00:00 +0000] "GET /a HTTP/1.1" 200 5'
    assert Source().read(syslog(forged), cri(forged)) == ["not_this_format"] * 2
    assert Source().formats.best([syslog(forged)]) is None


def test_after_long_nothing_only_some_lines_are_tried():
    source = Source()
    source.read(*[TEXT] * (DENSE + 500))
    found = source.read(*[NGINX] * 40)
    lost = found.count("not_this_format")
    assert lost < SPARSE
    assert found == ["not_this_format"] * lost + ["192.0.2.7"] * (40 - lost)
