import json

import pytest

from console.formats_report import Look, formats_documents, what_it_is
from intake.formats._base import discover
from intake.ownership import Tables
from intake.settings import IntakeSettings

NGINX = (
    '10.0.0.5 - ann [22/Nov/2026:10:00:00 +0000] "GET /users/17?token=abcdefgh12345 HTTP/1.1" '
    '200 5 "-" "curl/8" "203.0.113.7"'
)


def looked(*lines, most=3, **intake):
    made = Look(IntakeSettings.model_validate(intake), (), Tables(), "auto")
    made.read(0, "\n".join(lines).encode(), most)
    return made


def test_every_format_is_described():
    documents = {one["name"]: one for one in formats_documents()}
    assert sorted(documents) == sorted(discover())
    for one in documents.values():
        assert one["examples"]
        assert "address" in one["says"]
    assert documents["ecs"]["says"] == [
        "address", "user", "session", "claimed user", "agent", "bytes",
    ]  # fmt: skip
    assert what_it_is(discover()["ecs"]).startswith("Elastic Common Schema")


def test_a_line_field_by_field():
    (shown,) = looked(NGINX, trusted_proxies=["10.0.0.0/8"]).shown
    text = shown.pop("text")
    assert text == NGINX.replace("abcdefgh12345", "[secret]")
    assert shown == {
        "line": 1, "wrapper": "", "format": "nginx", "time": "2026-11-22T10:00:00.000Z",
        "client": "203.0.113.7", "client_believed": True, "peer": "10.0.0.5",
        "forwarded": "203.0.113.7", "principal": "ann", "provenance": "asserted",
        "authentication": "known", "claimed": "", "session": False, "method": "GET",
        "target": "/users/17?token=[secret]", "route": "/users/{owner}", "targets": ["17"],
        "basis": "route", "object": "", "tenant": "", "status": 200, "bytes": 5, "effect": "read",
        "outcome": "proven", "verdict": "undetermined", "allowed": "",
    }  # fmt: skip


def test_what_is_read_is_counted_and_a_few_are_shown():
    cri = "2026-11-22T10:00:00Z stdout F "
    lines = ["what?", "", cri + NGINX, "who?", cri + NGINX, "{", cri + NGINX, "how?"]
    made = looked(*lines, most=2)
    assert (made.lines, made.understood) == (7, 3)
    assert made.formats == {"nginx in cri": 3}
    assert made.rejected.total() == 4
    kinds = [(row["line"], row.get("rejected", row.get("format"))) for row in made.shown]
    assert [line for line, _ in kinds] == [1, 2, 3, 4]
    assert kinds[1] == (2, "nginx")


HINTS = [
    ("a header that nobody believes", [NGINX], {}, "client",
     "intake: {trusted_proxies: [10.0.0.5]}    # if these are your own proxies"),
    ("text of no format", ["what?"], {}, "format", "intake: {log_format: {nginx: "),
    ("JSON of no format",
     [json.dumps({"wann": 1795341600, "wer": "192.0.2.7", "was": "/a", "wie": "GET", "ok": 200})],
     {}, "format", ("intake: {fields: {time: wann, client_ip: wer, method: wie, target: was, "
     "status: ok}}    # guessed")),
    ("nobody vouches", [NGINX], {"trusted_proxies": ["10.0.0.5"]}, "trust",
     "intake: {trust: {principal: gateway}}"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "lines", "intake", "missing", "add"), HINTS, ids=[c[0] for c in HINTS]
)
def test_what_could_not_be_known(name, lines, intake, missing, add):
    hint = looked(*lines, **intake).hints()[0]
    assert hint.missing == missing
    assert hint.add.startswith(add)


def test_carried_records_are_guessed_from_what_was_carried():
    record = {"wann": 1795341600, "wer": "192.0.2.7", "was": "/a", "wie": "GET", "ok": 200}
    carried = {"log": json.dumps(record) + "\n", "stream": "stdout", "time": "2026-11-22T10:00:00Z"}
    (hint,) = looked(json.dumps(carried)).hints()
    assert "client_ip: wer" in hint.add


def test_an_unknown_format_is_refused():
    with pytest.raises(ValueError, match="unknown format 'cobol'"):
        Look(IntakeSettings(), (), Tables(), "cobol")
