import json

import pytest

from console.field_guess import guess
from intake.detection import Formats
from intake.settings import IntakeSettings

RECORD = {
    "wann": "2026-11-22T10:00:00Z",
    "who": {"addr": "192.0.2.7", "port": 4711},
    "what": "/users/17",
    "how": "get",
    "code": 200,
}


def lines(*records):
    return [json.dumps(record).encode() for record in records]


CASES = [
    ("names of one's own", lines(RECORD, RECORD),
     "time: wann, client_ip: who.addr, method: how, target: what, status: code"),
    ("a request line has the method", lines({k: v for k, v in RECORD.items() if k != "how"}
                                            | {"what": "GET /users/17 HTTP/1.1"}),
     "time: wann, client_ip: who.addr, target: what, status: code"),
    ("a status in text, a time in seconds", lines(RECORD | {"code": "404", "wann": 1795341600.5}),
     "time: wann, client_ip: who.addr, method: how, target: what, status: code"),
    ("most records decide", lines(RECORD, RECORD, {"msg": "up", "ok": True}),
     "time: wann, client_ip: who.addr, method: how, target: what, status: code"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "given", "expected"), CASES, ids=[c[0] for c in CASES])
def test_fields_are_guessed_from_values(name, given, expected):
    says = guess(given)
    assert says.partition("    #")[0] == f"intake: {{fields: {{{expected}}}}}"


NOTHING = [
    ("no lines", []),
    ("no JSON", [b"what?", b"[]", b"17"]),
    ("an application's log", lines({"time": "2026-11-22T10:00:00Z", "level": "info", "msg": "up"})),
    ("requests are a few", lines(RECORD, {"a": 1}, {"a": 2}, {"a": 3})),
    ("deeper than anybody looks", [b'{"a":' * 5000 + b"1" + b"}" * 5000]),
]


@pytest.mark.parametrize(("name", "given"), NOTHING, ids=[c[0] for c in NOTHING])
def test_nothing_is_guessed_from_too_little(name, given):
    assert guess(given) == ""


def test_what_is_guessed_is_understood():
    fields = {"time": "wann", "client_ip": "who.addr", "method": "how", "target": "what"}
    made = IntakeSettings.model_validate({"fields": fields | {"status": "code"}})
    assert Formats(made).best(lines(RECORD)) == (("", "json"), 1)
