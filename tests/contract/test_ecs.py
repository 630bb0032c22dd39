"""Every field of every document and template is in ECS with its type, or below `breachline.`.

The documents are those of a run that finds an attack, blocks it and keeps its lines; the field
list is the published one (`ecs/README.md`).
"""

import contextlib
import csv
import io
import json
import re
from datetime import datetime
from ipaddress import ip_address
from pathlib import Path
from types import SimpleNamespace
from typing import get_args

import msgspec
import pytest

from console.main import run
from evidence.elastic import documents
from evidence.elastic.templates import ECS, ECS_VERSION, OWN, templates
from evidence.entry import EntryKind
from evidence.ledger import Head
from evidence.log import Approval
from evidence.store import EmbeddedStore
from incidents.documents import action_document, incident_document
from streams.clock import SystemClock
from streams.results import finding_documents
from tests import _attack
from tests._gateway import TOKEN, Gateway

HERE = Path(__file__).parent / "ecs"
(LIST,) = HERE.glob("ecs-*.csv")
with LIST.open(newline="") as file:
    FIELDS = {row["Field"]: (row["Type"], row["Normalization"]) for row in csv.DictReader(file)}

KINDS = {"alert", "asset", "enrichment", "event", "metric", "pipeline_error", "signal", "state"}
TYPES_OF = {
    "configuration": {"access", "change", "creation", "deletion", "info"},
    "database": {"access", "change", "info", "error"},
    "intrusion_detection": {"allowed", "denied", "info"},
    "web": {"access", "error", "info"},
}
"""`event.category` to the `event.type` that ECS expects with it; those that we use."""
OUTCOMES = {"success", "failure", "unknown"}
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def is_time(value):
    return bool(TIME.fullmatch(value)) and datetime.fromisoformat(value) is not None


def is_address(value):
    try:
        return ip_address(value) is not None
    except ValueError:
        return False


def is_whole(value):
    return isinstance(value, int) and not isinstance(value, bool) and -(2**63) <= value < 2**63


def is_text(value):
    return isinstance(value, str)


def fits(kind, value):
    """Whether a value is of a field type of Elasticsearch."""
    checks = {
        "boolean": lambda v: isinstance(v, bool),
        "constant_keyword": is_text,
        "date": lambda v: is_text(v) and is_time(v),
        "flattened": lambda v: isinstance(v, dict),
        "float": lambda v: isinstance(v, float) or is_whole(v),
        "ip": lambda v: is_text(v) and is_address(v),
        "keyword": is_text,
        "long": is_whole,
        "match_only_text": is_text,
        "wildcard": is_text,
    }
    return checks[kind](value)


def leaves(document, path=""):
    """(dotted path, value) of what a document says; open shapes are one value."""
    for name, value in document.items():
        here = f"{path}{name}"
        if isinstance(value, dict) and OWN.get(here) != "flattened":
            yield from leaves(value, f"{here}.")
        elif isinstance(value, list) and all(isinstance(one, dict) for one in value):
            # Also an empty one, which says nothing.
            for one in value:
                yield from leaves(one, f"{here}.")
        else:
            yield here, value


def problems(document, own=OWN):
    """What of a document is not ECS. `own`: the types below `breachline.`; None leaves it open."""
    found = []
    for path, value in leaves(document):
        if path.startswith("breachline."):
            if own is None:
                continue
            kind, array = own.get(path), True
        else:
            kind, normalization = FIELDS.get(path, (None, ""))
            array = normalization == "array"
        if kind is None:
            found.append(f"{path} is no field")
        elif isinstance(value, list):
            found += [] if array else [f"{path} is an array"]
            found += [f"{path} is {one!r}" for one in value if not fits(kind, one)]
        elif not fits(kind, value):
            found.append(f"{path} is {value!r}")
        elif not path.startswith("breachline.") and array:
            found.append(f"{path} is no array")
    return found + words(document["event"])


def words(event):
    """What of `event` is not one of the words that ECS allows there."""
    expected = set().union(*(TYPES_OF.get(one, set()) for one in event["category"]))
    found = [event["kind"]] if event["kind"] not in KINDS else []
    found += [one for one in event["category"] if one not in TYPES_OF]
    found += [one for one in event["type"] if one not in expected]
    found += [event["outcome"]] if event.get("outcome", "unknown") not in OUTCOMES else []
    return [f"event: {one!r} is no word of ECS" for one in found]


EVENT = {"kind": "event", "category": ["web"], "type": ["access"]}
WRONG = [
    ("a field that ECS has not", {"session": {"id": "s"}}, ["session.id is no field"]),
    ("one of our own that is not mapped", {"breachline": {"x": 1}}, ["breachline.x is no field"]),
    ("a name for an address", {"source": {"ip": "host"}}, ["source.ip is 'host'"]),
    ("a number for a text", {"user": {"id": 7}}, ["user.id is 7"]),
    ("an array where there is one", {"user": {"id": ["u"]}}, ["user.id is an array"]),
    ("one where there is an array", {"related": {"ip": "192.0.2.1"}}, ["related.ip is no array"]),
    ("one bad of several", {"related": {"ip": ["192.0.2.1", "x"]}}, ["related.ip is 'x'"]),
    ("a time without its zone", {"@timestamp": "2026-11-22T12:00:00"}, 1),
    ("nothing", {"message": None}, ["message is None"]),
    ("no number", {"event": EVENT | {"severity": True}}, ["event.severity is True"]),
    ("a kind", {"event": EVENT | {"kind": "thing"}}, ["event: 'thing' is no word of ECS"]),
    ("a type of another category", {"event": EVENT | {"type": ["denied"]}}, 1),
    ("an open shape that is none", {"breachline": {"explain": 3}}, ["breachline.explain is 3"]),
    ("all well", {"breachline": {"explain": {"a": [1, {"b": 2}]}}, "message": "x"}, []),
]


@pytest.mark.parametrize(("name", "document", "expected"), WRONG)
def test_what_is_wrong_is_seen(name, document, expected):
    found = problems({"event": EVENT, **document})
    assert (len(found) if isinstance(expected, int) else found) == expected, name


def test_the_list_is_of_the_version_that_we_write():
    assert LIST.name == f"ecs-{ECS_VERSION}.csv"
    assert ECS_VERSION in (HERE / "README.md").read_text()
    assert len(FIELDS) > 2000


def test_what_the_templates_map_is_ecs_with_its_type():
    for path, kind in ECS.items():
        assert FIELDS.get(path, ("no field", ""))[0] == kind, path
    assert all(path.startswith("breachline.") for path in OWN)
    put = set()
    for one in templates(60):
        put |= set(one.body.get("template", {}).get("mappings", {}).get("properties", {}))
    assert put == {path.partition(".")[0] for path in (*ECS, *OWN)}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Every document of a run that found, blocked and kept; and its events as `parse` says them."""
    folder = tmp_path_factory.mktemp("ecs")
    log = _attack.write(folder, _attack.as_of_now(SystemClock().now_ms()))
    with pytest.MonkeyPatch.context() as patch, Gateway() as gateway:
        patch.setenv("GATEWAY_TOKEN", TOKEN)
        config = folder / "enforce.yaml"
        config.write_text(
            f"{_attack.CONFIG}respond:\n  mode: enforce\n"
            f'  gateway: {{url: "{gateway.url}", token_env: GATEWAY_TOKEN}}\n'
        )
        args = ["--config", str(config), "--data-dir", str(folder / "var")]
        with contextlib.redirect_stdout(io.StringIO()):
            assert run(["run", str(log), "--once", *args]) == 0
    with EmbeddedStore.open(folder / "var") as store:
        _people_came(store.log)
        yield SimpleNamespace(
            findings=list(finding_documents(store, store.findings())),
            incidents=list(map(incident_document, store.incidents())),
            actions=list(map(action_document, store.log.actions())),
            receipts=list(map(msgspec.to_builtins, store.log.receipts())),
            entries=[*_with_lines(store)],
            log=log,
            args=args,
        )


def _people_came(log):
    """What no run does by itself: a word, a look, an export, a hold, an erasure."""
    at_ms = 1_795_000_000_000
    log.append_approval(Approval(action="act-1", approved=True, by="alice", why="yes", at_ms=at_ms))
    for kind in ("configuration", "export", "read", "hold", "release", "erasure", "key"):
        said = {"by": "alice", "why": "case 7", "incident": "inc-1", "n": 1, "more": {"a": [1]}}
        log.append(kind, f"{kind}-1", at_ms, "inc-1", said)
    log.append("finding", "finding-1", at_ms, "finding-1", {"message": "x", "n": 1.5})
    log.append("incident", "inc-1@1", at_ms, "inc-1", {"id": "inc-1", "version": 1, "rules": []})


def _with_lines(store):
    names = {source.id: source.name for source in store.sources()}
    for entry in store.log.entries():
        captured = msgspec.json.decode(entry.payload) if entry.kind == "captured" else None
        line = next(store.lines([captured["event"]])) if captured else None
        yield entry, line, next(iter(names.values())) if captured else ""


def source(document):
    return json.loads(document.source)


def test_the_run_wrote_one_of_each(written):
    assert len(written.findings) >= 1
    assert len(written.incidents) == 1
    assert {one["kind"] for one in written.actions} >= {"block_ip", "capture_evidence"}
    assert {one["state"] for one in written.receipts} == {"confirmed"}
    assert {one.kind for one, _, _ in written.entries} == set(get_args(EntryKind))


def test_findings(written):
    for one in written.findings:
        assert problems(one) == []
        assert problems(source(documents.finding(one))) == []


def test_incidents(written):
    for one in written.incidents:
        assert problems(source(documents.incident(one))) == []


def test_actions_and_receipts(written):
    for one in written.actions:
        assert problems(source(documents.action(one))) == []
    for one in written.receipts:
        assert problems(source(documents.receipt(one))) == []


def test_entries_of_the_ledger(written):
    for one in written.entries:
        assert problems(source(documents.entry(*one))) == []
        erased = msgspec.structs.replace(one[0], salt=None, payload=None)
        assert problems(source(documents.entry(erased))) == []


def test_heads():
    note = "breachline/default/evidence\n12\nqqo=\n\n\N{EM DASH} breachline/default/evidence c2ln\n"
    assert problems(source(documents.head(Head(12, note), 1_795_000_000_000))) == []


def test_every_document_has_what_a_stream_needs(written):
    made = [
        *map(documents.finding, written.findings),
        *map(documents.action, written.actions),
        *map(documents.receipt, written.receipts),
        *(documents.entry(*one) for one in written.entries),
    ]
    for one in made:
        whole = source(one)
        assert whole["ecs"] == {"version": ECS_VERSION}
        assert "-".join(whole["data_stream"].values()) == one.index
        assert whole["event"]["dataset"] == whole["data_stream"]["dataset"]
        assert (whole["event"]["id"], whole["event"]["module"]) == (one.id, "breachline")
        assert is_time(whole["@timestamp"])
    assert len({(one.index, one.id) for one in made}) == len(made)


def test_events_of_parse(written, capsysbinary):
    assert run(["parse", str(written.log), *written.args]) == 0
    events = [json.loads(line) for line in capsysbinary.readouterr().out.splitlines()]
    assert len(events) == len(written.log.read_text().splitlines())
    for one in events:
        assert problems(one, own=None) == []
