import copy
import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from intake.formats import _record
from intake.formats._record import RecordReader
from intake.formats.ecs import FORMAT, NAMES, EcsReader
from intake.line import Parsed, Unreadable
from intake.settings import Fields, IntakeSettings, Join, Trust

AT = 1_795_341_603_120
GATEWAY = {
    "@timestamp": "2026-11-22T10:00:03.120Z",
    "event": {"dataset": "gateway.access"},
    "source": {"ip": "192.0.2.1", "port": 4711},
    "user": {"id": "17"},
    "http": {
        "version": "1.1",
        "request": {"method": "GET", "headers": {"x-user-id": "18"}},
        "response": {"status_code": 200, "body": {"bytes": 512}},
    },
    "url": {"path": "/a"},
    "user_agent": {"original": "curl/8"},
    "session": {"id": "abc"},
}


def parsed(method="GET", target="/a", status=200, size=512, peer="192.0.2.1", **rest):
    known = {"principal": "17", "claimed": "18", "session": "abc", "user_agent": "curl/8",
             "logs_principal": True}  # fmt: skip
    return Parsed(AT, peer, method, target, status, size, **{**known, **rest})


def but(*gone, **changes):
    """The gateway's record with values at dotted paths set, or names there taken out."""
    record = copy.deepcopy(GATEWAY)
    for path, value in [*((path, None) for path in gone), *changes.items()]:
        *outer, name = path.split("__")
        at: Any = record
        for part in outer:
            at = at.setdefault(part, {})
        if path in gone:
            del at[name]
        else:
            at[name] = value
    return record


def flat(record, inside=""):
    found: dict[str, object] = {}
    for name, value in record.items():
        if isinstance(value, dict):
            found |= flat(value, f"{inside}{name}.")
        else:
            found[inside + name] = value
    return found


CASES = [
    ("a gateway's event", GATEWAY, parsed()),
    ("dotted", flat(GATEWAY), parsed()),
    ("half dotted", {**but("http", "user"), **flat({k: GATEWAY[k] for k in ("http", "user")})},
     parsed()),
    ("dotted inside", but("http", http__request={"method": "GET", "headers.x-user-id": "18"},
                          http__response={"status_code": 200, "body.bytes": 512}), parsed()),
    ("nobody", but(user__id=None), parsed(principal=None)),
    ("nobody, null", but(user=None), parsed(principal=None)),
    ("no place for a user", but("user"), parsed(principal=None, logs_principal=False)),
    ("number as an id", but(user__id=17), parsed()),
    ("name of a Basic user", but(user={"name": "ann"}),
     parsed(principal=None, asserted="ann", basic_user=True, logs_principal=False)),
    ("no Basic user, as Elastic's apache has it", but(user={"name": "-"}),
     parsed(principal=None, logs_principal=False)),
    ("a user of no names", but(user={}), parsed(principal=None)),
    ("name beside no id", but(user={"id": None, "name": "ann"}),
     parsed(principal=None, asserted="ann", basic_user=True)),
    ("name beside an id", but(user__name="ann"), parsed()),
    ("no session", but("session"), parsed(session=None)),
    ("session in a cookie", but("session", http__request__headers__cookie="a=1; sid=def"),
     parsed(session="def")),
    ("session before cookie", but(http__request__headers__cookie="sid=def"), parsed()),
    ("client instead of source", but("source", client={"ip": "192.0.2.1"}), parsed()),
    ("source before client", but(client={"ip": "203.0.113.9"}), parsed()),
    ("source.address", but(source={"address": "192.0.2.1"}), parsed()),
    ("client.address", but("source", client={"address": "192.0.2.1"}), parsed()),
    ("whom a proxy stands for", but(network={"forwarded_ip": "203.0.113.9", "protocol": "http"}),
     parsed(client="203.0.113.9")),
    ("query apart", but(url__query="x=1"), parsed(target="/a?x=1")),
    ("query, empty", but(url__query=""), parsed()),
    ("original before path", but(url__original="/raw?x=1"), parsed(target="/raw?x=1")),
    ("query apart from the original, as Elastic's iis has it",
     but(url__original="/raw", url__query="x=1"), parsed(target="/raw?x=1")),
    ("query beside an original that has it", but(url__original="/raw?x=1", url__query="x=1"),
     parsed(target="/raw?x=1")),
    ("query beside an absolute original",
     but(url__original="https://h.example/raw", url__query="x=1"),
     parsed(target="/raw?x=1", host="h.example")),
    ("original, absolute", but(url__original="https://h.example/raw"),
     parsed(target="/raw", host="h.example")),
    ("full alone", but(url={"full": "https://h.example/b?x=1"}),
     parsed(target="/b?x=1", host="h.example")),
    ("domain", but(url__domain="h.example"), parsed(host="h.example")),
    ("bytes of the whole response", but(http__response={"status_code": 200, "bytes": 700}),
     parsed(size=700)),
    ("no bytes", but(http__response={"status_code": 200}), parsed(size=-1)),
    ("status as text", but(http__response__status_code="404"), parsed(status=404)),
    ("referrer, ids", but(http__request__referrer="https://o.example/", http__request__id="r1",
                          trace={"id": "t1"}),
     parsed(referer="https://o.example/", request_id="r1")),
    ("trace", but(trace={"id": "t1"}), parsed(request_id="t1")),
    ("tenant, owner, context", but(organization={"id": "o1"}, labels={
        "resource_owner": "18,19", "security_context_error": "missing"}),
     parsed(tenant="o1", owners=("18", "19"), context_error="missing")),
    ("headers", but(http__request__headers={
        "Authorization": ["Bearer abc"], "X-Forwarded-For": ["6.6.6.6", "203.0.113.9"],
        "X-User-ID": ["18"], "Origin": "https://o.example", "Sec-Fetch-Site": "cross-site",
        "X-HTTP-Method-Override": "DELETE"}),
     parsed(authorization="Bearer abc", forwarded="6.6.6.6, 203.0.113.9",
            origin="https://o.example", fetch_site="cross-site", override_method="DELETE")),
    ("no headers", but("http__request__headers"), parsed(claimed=None)),
    ("headers of the answer", but(http__response__headers={"Location": "/users/17"}),
     parsed(location="/users/17")),
    ("the machine that logged is not the host", but(host={"name": "web-1"}, agent={"id": "f1"},
        log={"offset": 1, "file": {"path": "/var/log/x"}}, message="GET /zzz"), parsed()),
    ("outcome says nothing", but(event__outcome="failure"), parsed()),
    ("lower case method", but(http__request__method="get"), parsed()),
    ("seconds", but(**{"@timestamp": 1_795_341_603.12}), parsed()),
]  # fmt: skip

BAD = [
    ("no time", but("@timestamp"), "no_time"),
    ("bad time", but(**{"@timestamp": "soon"}), "bad_time"),
    ("no address", but("source"), "no_address"),
    ("no request", but("url"), "no_request"),
    ("bad status", but(http__response__status_code=2000), "bad_status"),
]


def parse(record, settings=None):
    return FORMAT.parser(settings or IntakeSettings())(orjson.dumps(record))


def long_way(record, settings=None):
    reader = RecordReader(settings or IntakeSettings(), NAMES, wrappers=False, query_apart=True)
    return reader.parser()(orjson.dumps(record))


@pytest.mark.parametrize(("name", "record", "expected"), CASES, ids=[c[0] for c in CASES])
def test_records(name, record, expected):
    assert parse(record) == expected
    assert long_way(record) == expected


@pytest.mark.parametrize(("name", "record", "reason"), BAD, ids=[c[0] for c in BAD])
def test_what_is_no_request(name, record, reason):
    for way in (parse, long_way):
        with pytest.raises(Unreadable) as caught:
            way(record)
        assert caught.value.reason == reason


def test_configured_fields():
    settings = IntakeSettings(
        fields=Fields(
            client_ip="client.ip", principal="user.id", session="session.id", tenant="org",
            claimed_user="http.request.headers.x-person", target_user="labels.whose",
        )
    )  # fmt: skip
    record = but(client={"ip": "203.0.113.9"}, org="o1", labels={"whose": [20, 21]},
                 http__request__headers={"X-Person": "19", "X-User-ID": "18"})  # fmt: skip
    expected = parsed(peer="203.0.113.9", claimed="19", tenant="o1", owners=("20", "21"))
    assert parse(record, settings) == expected
    assert parse(but(client={"ip": "203.0.113.9"}), settings) == parsed(
        peer="203.0.113.9", claimed=None
    )


def test_an_owner_who_vouches():
    settings = IntakeSettings(trust=Trust(principal="gateway"))
    assert parse(but(user={"name": "ann"}), settings) == parsed(principal="ann")
    assert parse(but(user={"id": None, "name": "ann"}), settings) == parsed(principal="ann")


def test_a_long_id_keeps_its_digits():
    line = orjson.dumps(GATEWAY).replace(b'"17"', b"123456789012345678901234567890")
    assert FORMAT.parser(IntakeSettings())(line) == parsed(
        principal="123456789012345678901234567890"
    )


def test_odd_bytes_cost_no_line():
    line = orjson.dumps(GATEWAY).replace(b"curl/8", b"x\xff\x01")
    assert FORMAT.parser(IntakeSettings())(line) == parsed(user_agent="x\\xff\x01")


def test_sniff_knows_ecs_from_other_json():
    assert FORMAT.sniff([orjson.dumps(GATEWAY)]) == 1
    assert FORMAT.sniff([orjson.dumps(flat(GATEWAY))]) == 1
    assert FORMAT.sniff([orjson.dumps(GATEWAY), b"junk"]) == 0.5
    assert FORMAT.sniff([b'{"time":1795341603,"ip":"192.0.2.1","url":"/a"}']) == 0
    assert FORMAT.sniff([b'{"http":{},"url":{}}', b"junk"]) == 0
    flat_json = b'{"ts":1795341603,"ip":"192.0.2.1","uri":"/a","logger":"http.log.access"}'
    assert FORMAT.sniff([flat_json]) == 0, "a value that looks like a name of ECS"


def test_what_is_remembered_stays_bounded(monkeypatch):
    monkeypatch.setattr(_record, "_MAX_SHAPES", 20)
    reader = EcsReader(IntakeSettings())
    read = reader.parser()
    for number in range(200):
        record = but(http__request__headers={f"x-{number}": "1", "x-user-id": "18"})
        assert read(orjson.dumps({**record, f"n{number // 50}": 1})) == parsed()
        assert sum(1 + len(branch.shapes) for branch in reader._branches.values()) <= 21


LEAVES = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5)
    | st.sampled_from(["-", "", "/b", "x=1", "192.0.2.7", "18", "https://h.example/", 0, 200, 1e3])
)  # fmt: skip
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(
                "id ip original path query bytes name headers x-user-id cookie".split()
            ),
            inner,
            max_size=3,
        )
    ),
    max_leaves=4,
)
PATHS = st.sampled_from(
    """@timestamp source source__ip source__address client client__ip user user__id user__name http
    http__version http__method http__request http__request__method http__request__id
    http__request__referrer http__request__headers http__request__headers__x-user-id
    http__request__headers__X-User-ID http__request__headers__cookie
    http__request__headers__authorization http__request__headers__x-forwarded-for
    http__request__headers__host http__request__headers__user-agent http__response
    http__response__status_code http__response__body http__response__body__bytes
    http__response__bytes http__response__headers__location url url__path url__query url__original
    url__full url__domain
    user_agent user_agent__original session session__id trace trace__id labels
    labels__resource_owner labels__security_context_error organization__id user_id remote_user uri
    method status request headers xff session_id host timestamp claims source.ip url.query
    http.request.headers.x-user-id user.id""".split()
)
READERS = {
    trust: (
        EcsReader(settings).parser(),
        RecordReader(settings, NAMES, wrappers=False, query_apart=True).parser(),
    )
    for trust in ("asserted", "gateway")
    for settings in [
        IntakeSettings(trust=Trust(principal=trust), internal_headers=["X-User-ID", "X-Debug"])
    ]
}


@given(
    st.lists(PATHS, max_size=2), st.dictionaries(PATHS, VALUES, max_size=3),
    st.sampled_from(["asserted", "gateway"]),
)  # fmt: skip
def test_the_straight_path_gives_what_the_long_way_gives(gone, changes, trust):
    record = copy.deepcopy(GATEWAY)
    for path, value in [*((path, None) for path in gone), *changes.items()]:
        *outer, name = path.split("__")
        at: Any = record
        for part in outer:
            at = at.get(part)
            if not isinstance(at, dict):
                break
        else:
            if path in changes:
                at[name] = value
            else:
                at.pop(name, None)
    line = json.dumps(record).encode()

    def answer(read):
        try:
            return read(line)
        except Unreadable as why:
            return why.reason

    straight, long = READERS[trust]
    assert answer(straight) == answer(long)


def test_a_service_that_logs_no_client():
    """It is ECS all the same; without an address its lines are read where logs are joined."""
    lines = [json.dumps({k: v for k, v in GATEWAY.items() if k != "source"}).encode()] * 3
    assert FORMAT.sniff(lines) == 1.0
    with pytest.raises(Unreadable, match="no_address"):
        FORMAT.parser(IntakeSettings())(lines[0])
    join = Join(gateway=["gateway.log"], service=["service.log"])
    line = FORMAT.parser(IntakeSettings(join=join))(lines[0])
    assert (line.peer, line.principal) == ("", "17")
