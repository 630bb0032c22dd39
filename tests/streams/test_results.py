import json
import stat

import pytest

from incidents.affected import Impact
from records.event import RawLine, Reject
from records.incident import Affected, UnknownObject
from streams.results import (
    discard,
    finding_documents,
    prepare,
    unfinished,
    write_affected,
    write_results,
)
from tests._events import NOON_MS, action, finding, incident

RESULT = ["actions.ndjson", "affected", "breachline.db", "findings.ndjson", "history",
          "incidents.ndjson", "rejects.ndjson", "summary.json"]  # fmt: skip


def make(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if "." in name:
            path.write_text("x")
        else:
            path.mkdir(exist_ok=True)
            (path / "inside").write_text("x")


def names(folder):
    return sorted(path.name for path in folder.iterdir())


ACCEPTED = [
    ("not there yet", None),
    ("empty", []),
    ("an earlier result", RESULT),
    ("a scan that was killed", ["breachline.db", "breachline.db-journal", "history"]),
]


@pytest.mark.parametrize(("name", "holds"), ACCEPTED, ids=[c[0] for c in ACCEPTED])
def test_a_folder_for_a_result_becomes_empty(tmp_path, name, holds):
    out = tmp_path / "deep" / "out"
    if holds is not None:
        out.mkdir(parents=True)
        make(out, *holds)
    prepare(out)
    assert names(out) == []


def test_a_public_key_is_part_of_a_result_and_a_private_one_never(tmp_path):
    keys = tmp_path / "keys"
    keys.mkdir()
    (keys / "ledger.pub").touch()
    (keys / "ledger.key").touch()
    with pytest.raises(ValueError, match="it holds keys, which no scan wrote"):
        prepare(tmp_path)
    assert names(keys) == ["ledger.key", "ledger.pub"]
    (keys / "ledger.key").unlink()
    prepare(tmp_path)
    assert names(tmp_path) == []


REFUSED = [
    ("a service's data directory", ["breachline.db", "keys", "run.lock"], "it holds keys"),
    ("a store by itself, once a service held it", ["breachline.db", "run.lock"], "run.lock"),
    ("somebody's folder", ["thesis.txt"], "it holds thesis.txt, which no scan wrote"),
    ("a result with something added", [*RESULT, "notes.txt"], "notes.txt"),
]


@pytest.mark.parametrize(("name", "holds", "says"), REFUSED, ids=[c[0] for c in REFUSED])
def test_what_no_scan_wrote_is_never_removed(tmp_path, name, holds, says):
    make(tmp_path, *holds)
    with pytest.raises(ValueError) as error:
        prepare(tmp_path)
    assert says in str(error.value)
    assert "--out" in str(error.value)
    assert names(tmp_path) == sorted(holds)


def test_a_file_is_no_folder(tmp_path):
    file = tmp_path / "out"
    file.write_text("mine")
    with pytest.raises(ValueError, match="it is a file"):
        prepare(file)
    assert file.read_text() == "mine"


def test_a_new_folder_is_for_its_owner_alone(tmp_path):
    prepare(tmp_path / "out")
    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == 0o700


def test_discarding_empties_and_follows_no_link(tmp_path):
    elsewhere = tmp_path / "elsewhere"
    make(elsewhere, "kept.txt")
    out = tmp_path / "out"
    make(out, "breachline.db", "history")
    (out / "affected").symlink_to(elsewhere)
    discard(out)
    assert (names(out), names(elsewhere)) == ([], ["kept.txt"])


UNFINISHED = [
    ("nothing", [], False),
    ("whole", RESULT, False),
    ("killed", ["breachline.db", "breachline.db-journal", "history"], True),
    ("a live service's", ["breachline.db", "keys", "run.lock"], False),
]


@pytest.mark.parametrize(("name", "holds", "expected"), UNFINISHED, ids=[c[0] for c in UNFINISHED])
def test_half_a_result_is_recognised(tmp_path, name, holds, expected):
    make(tmp_path, *holds)
    assert unfinished(tmp_path) is expected


def ndjson(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def row(user):
    return Affected(
        user=user, certainty="proven", categories=("contact",), reads=1, writes=0,
        first_ms=NOON_MS, last_ms=NOON_MS, events=("a1b2-0",),
    )  # fmt: skip


THING = UnknownObject(
    object="o-1", route="/orders/{object}", effect="read", first_ms=NOON_MS, events=("a1b2-0",)
)


def test_all_files_of_a_result(tmp_path, store):
    store.put_source("a1b2", "access.log", 100, b"", b"")
    store.add_lines([RawLine("a1b2-64", "5ha", b"a line", masked=False)])
    store.put_findings([finding(evidence=("a1b2-64", "a1b2-c8"))])
    store.put_incidents([incident(affected_count=2)])
    store.log.append_intent(action())
    store.add_rejects([Reject("a1b2", 7, "not_json", "00", "nonsense")])
    impact = Impact(("u-1", "u-2"), (row("u-1"), row("u-2")), (THING,))
    write_results(tmp_path, store, {"inc-1": impact}.__getitem__, {"lines": 1})
    assert json.loads((tmp_path / "summary.json").read_text()) == {"lines": 1}
    (found,) = ndjson(tmp_path / "findings.ndjson")
    assert found["breachline"]["evidence"] == [
        {"event": "a1b2-64", "source": "access.log", "offset": 100, "sha256": "5ha"},
        {"event": "a1b2-c8"},
    ]
    assert [d["id"] for d in ndjson(tmp_path / "incidents.ndjson")] == ["inc-1"]
    assert [d["id"] for d in ndjson(tmp_path / "actions.ndjson")] == ["act-1"]
    assert ndjson(tmp_path / "rejects.ndjson") == [
        {"source": "a1b2", "offset": 7, "reason": "not_json", "sha256": "00", "line": "nonsense"}
    ]
    affected = tmp_path / "affected"
    assert (affected / "inc-1.txt").read_text() == "u-1\nu-2\n"
    assert [d["user"] for d in ndjson(affected / "inc-1.ndjson")] == ["u-1", "u-2"]
    assert [d["object"] for d in ndjson(affected / "inc-1.objects.ndjson")] == ["o-1"]


def test_an_id_with_a_line_break_is_one_person(tmp_path):
    users = ("u-1", "u-2\nu-3")
    write_affected(tmp_path, incident(), Impact(users, tuple(map(row, users)), ()))
    assert (tmp_path / "inc-1.txt").read_text() == '"u-2\\nu-3"\nu-1\n'
    assert [d["user"] for d in ndjson(tmp_path / "inc-1.ndjson")] == list(users)


def test_a_source_that_is_not_known_is_named_by_its_id(store):
    store.add_lines([RawLine("a1b2-64", "5ha", b"a line", masked=False)])
    (document,) = finding_documents(store, [finding(evidence=("a1b2-64",))])
    assert document["breachline"]["evidence"][0]["source"] == "a1b2"


def test_a_finding_names_both_lines_of_an_event(store):
    lines = [RawLine("a1b2-64", "5ha", b"a", masked=False), RawLine("c3d4-a", "7ha", b"b", False)]
    store.add_lines(lines)
    store.add_halves({"a1b2-64": "c3d4-a"})
    (document,) = finding_documents(store, [finding(evidence=("a1b2-64",))])
    assert document["breachline"]["evidence"] == [
        {"event": "a1b2-64", "source": "a1b2", "offset": 100, "sha256": "5ha"},
        {"event": "c3d4-a", "source": "c3d4", "offset": 10, "sha256": "7ha"},
    ]


def test_ids_that_seem_to_be_one_person_s_are_proposed_without_formulas(tmp_path, store):
    pairs = [("a-1", "17"), ("=HYPERLINK(1)", "18"), ("c,3", "19"), ("d", "@20")]
    out = tmp_path / "out"
    prepare(out)
    write_results(out, store, {"": Impact((), (), ())}.__getitem__, {}, pairs)
    assert (out / "people.proposed.csv").read_text() == 'id,user\na-1,17\n"c,3",19\n'
    prepare(out)
    assert names(out) == []
