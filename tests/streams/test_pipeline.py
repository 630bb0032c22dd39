import json
from contextlib import suppress

import pytest

from evidence.history import History
from evidence.store import EmbeddedStore
from streams.capture import StoreCapture, evidence_events
from streams.lines import Fault, Frame
from streams.live import Outbox
from streams.settings import Settings
from streams.sources import SourceBook, read_frames
from tests import _attack
from tests.intake._tokens import jwk, jwks, signed


def take_all(pipeline, store, frames):
    """Every frame in one transaction each, checkpointed."""
    steps = []
    for frame in frames:
        with store.transaction():
            steps.append(pipeline.take(frame))
            pipeline.checkpoint()
    return steps


def outcome(store, pipeline):
    """All that must not depend on how the log was cut or how often we stopped."""
    incidents = [one for one in store.incidents() if one.status != "closed"]
    return (
        sorted(finding.id for finding in store.findings()),
        [(one.id, one.severity, one.affected_count) for one in incidents],
        [pipeline.desk.impact(one.id).users for one in incidents],
        [(action.id, action.guard.verdict) for action in store.log.actions()],
        pipeline.tally.document(0),
    )


def cut(log, lines):
    """The log as frames of so many lines."""
    (whole,) = read_frames(str(log), SourceBook())
    offset = 0
    rows = whole.data.splitlines(keepends=True)
    for n in range(0, len(rows), lines):
        data = b"".join(rows[n : n + lines])
        yield Frame(whole.source, whole.name, offset, data)
        offset += len(data)


def test_an_attack_goes_through_all_stages(attack, store, pipeline_on):
    pipeline = pipeline_on(store)
    take_all(pipeline, store, read_frames(str(attack), pipeline.book))
    (incident,) = store.incidents()
    assert (incident.severity, incident.breach, incident.affected_count) == ("SEV1", True, 12)
    assert pipeline.desk.impact(incident.id).users == tuple(_attack.VICTIMS)
    kinds = {(a.kind, a.target, a.mode, a.guard.verdict) for a in store.log.actions()}
    assert kinds == {
        ("capture_evidence", incident.id, "enforce", "pass"),
        ("block_ip", _attack.ATTACKER_IP, "simulate", "pass"),
    }
    assert store.outbox_all() == []
    judged = pipeline.tally.judged()
    assert (judged["own"], judged["foreign"]) == (840, 12)
    assert len(list(store.lines(e for f in store.findings() for e in f.evidence))) == 5


@pytest.mark.parametrize("lines", [1, 7, 100])
def test_the_cuts_between_frames_change_nothing(attack, tmp_path, pipeline_on, lines):
    found = []
    for size in (10_000, lines):
        with EmbeddedStore.open(tmp_path / f"by{size}") as store:
            pipeline = pipeline_on(store)
            with store.transaction():
                for frame in cut(attack, size):
                    pipeline.take(frame)
            found.append(outcome(store, pipeline))
    assert found[0] == found[1]


@pytest.mark.parametrize("stop_after", [1, 400, 841, 844, 851])
def test_a_restart_goes_on_where_the_last_checkpoint_was(attack, tmp_path, pipeline_on, stop_after):
    frames = list(cut(attack, 1))
    with EmbeddedStore.open(tmp_path / "straight") as store:
        pipeline = pipeline_on(store)
        with store.transaction():
            for frame in frames:
                pipeline.take(frame)
        expected = outcome(store, pipeline)
    with EmbeddedStore.open(tmp_path / "stopped") as store:
        pipeline = pipeline_on(store)
        with store.transaction():
            for frame in frames[:stop_after]:
                pipeline.take(frame)
            pipeline.checkpoint()
        # What is not committed did not happen.
        with suppress(KeyboardInterrupt), store.transaction():
            pipeline.take(frames[stop_after])
            raise KeyboardInterrupt
        pipeline = pipeline_on(store)
        pipeline.restore()
        with store.transaction():
            for frame in frames[stop_after:]:
                pipeline.take(frame)
            pipeline.checkpoint()
        assert outcome(store, pipeline) == expected
        (source,) = store.sources()
        assert source.position == attack.stat().st_size


def test_what_was_read_before_is_counted_as_duplicate_and_changes_nothing(
    attack, store, pipeline_on
):
    pipeline = pipeline_on(store)
    take_all(pipeline, store, read_frames(str(attack), pipeline.book))
    before = outcome(store, pipeline)
    take_all(pipeline, store, read_frames(str(attack), pipeline.book))
    after = outcome(store, pipeline)
    assert after[:4] == before[:4]
    assert (after[4]["lines"], after[4]["duplicate"], after[4]["events"]) == (1704, 852, 852)


def test_a_performer_gets_the_intents_in_the_same_transaction(attack, store, pipeline_on):
    pipeline = pipeline_on(store, performer=Outbox(store))
    take_all(pipeline, store, read_frames(str(attack), pipeline.book))
    assert {row.action for row in store.outbox_all()} == {a.id for a in store.log.actions()}


def test_the_history_gets_every_event(attack, store, pipeline_on, tmp_path):
    with History(tmp_path / "history") as history:
        pipeline = pipeline_on(store, history=history)
        take_all(pipeline, store, read_frames(str(attack), pipeline.book))
        assert history.counts_by_verdict() == {"own": 840, "foreign": 12}


def test_rejects_are_kept_with_their_reason(tmp_path, store, pipeline_on):
    log = tmp_path / "odd.log"
    log.write_text(_attack.entry(0, "u-1", "/") + "{nonsense\n" + _attack.entry(1, "u-1", "/"))
    pipeline = pipeline_on(store)
    take_all(pipeline, store, read_frames(str(log), pipeline.book))
    (reject,) = store.rejects()
    assert (reject.line, pipeline.tally.rejected) == ("{nonsense", {reject.reason: 1})


def test_one_clock_that_runs_ahead_does_not_move_now(tmp_path, store, pipeline_on):
    ahead = _attack.entry(400 * 86_400, "u-10", "/api/v1/users/u-10/profile")
    log = tmp_path / "ahead.log"
    log.write_text("".join([*_attack.ordinary(), ahead, *_attack.walk()]))
    pipeline = pipeline_on(store)
    take_all(pipeline, store, read_frames(str(log), pipeline.book))
    last_ms = _attack.START_MS + (70 * 60 + 11) * 1000
    assert pipeline.watermark_ms == last_ms
    assert pipeline.tally.last_ms == _attack.START_MS + 400 * 86_400_000
    (block,) = [a for a in store.log.actions() if a.kind == "block_ip"]
    third_victim_ms = _attack.START_MS + (70 * 60 + 2) * 1000
    assert (block.guard.verdict, block.decided_ms) == ("pass", third_victim_ms)


def test_times_are_those_of_the_lines(attack, store, pipeline_on):
    pipeline = pipeline_on(store)
    (frame,) = read_frames(str(attack), pipeline.book)
    found = pipeline.times(frame)
    assert len(found) == 852
    assert found[0] == (0, _attack.START_MS)
    assert pipeline.tally.lines == 0


UUID = "6f1c2f0e-1111-4a61-9d7c-0000000000{:02}"


def of_uuids(folder, users, objects):
    """A log in which so many callers with UUIDs ask for so many numbers."""
    lines = [
        _attack.entry(n, UUID.format(n % users), f"/api/v1/users/{1000 + n % objects}/profile")
        for n in range(60)
    ]
    log = folder / "uuid.log"
    log.write_text("".join(lines))
    return log


def test_ids_that_cannot_be_compared_are_named_with_their_route(tmp_path, store, pipeline_on):
    log = of_uuids(tmp_path, 30, 60)
    pipeline = pipeline_on(store)
    take_all(pipeline, store, read_frames(str(log), pipeline.book))
    assert pipeline.incomparable() == {"/api/v1/users/{owner}/**": (60, "uuid", "integer")}
    assert pipeline.tally.judged()["undetermined"] == 60


def test_new_keys_of_an_issuer_are_used_from_the_next_frame_on(tmp_path, store, pipeline_on):
    keys, log = tmp_path / "keys.json", tmp_path / "tokens.log"
    keys.write_bytes(jwks(jwk("ES256", kid="a")))
    token = signed("ES256", 1, kid="b", sub="17")
    line = json.dumps(
        {
            "time": "2026-11-22T10:00:00Z",
            "remote_addr": "192.0.2.7",
            "status": 200,
            "request": "GET /me HTTP/1.1",
            "authorization": f"Bearer {token}",
        }
    )
    log.write_text(f"{line}\n" * 2)
    settings = Settings.model_validate({"intake": {"jwt": {"jwks": keys}}})
    pipeline = pipeline_on(store, settings=settings, event_time=False)
    found = []
    for frame in cut(log, 1):
        with store.transaction():
            pipeline.take(frame, _attack.START_MS)
        found.append(dict(pipeline.tally.provenance))
        keys.write_bytes(jwks(jwk("ES256", 1, kid="b")))
    assert found == [{"unverified": 1}, {"unverified": 1, "verified": 1}]


def test_what_no_configuration_explains_is_passed_on(tmp_path, store, pipeline_on):
    log = of_uuids(tmp_path, 20, 20)
    pipeline = pipeline_on(store)
    take_all(pipeline, store, read_frames(str(log), pipeline.book))
    unsaid = pipeline.unsaid()
    assert (unsaid.apart, unsaid.tenants) == ({}, {})
    assert unsaid.pairs == [(UUID.format(n), str(1000 + n)) for n in range(20)]


def test_issuers_that_are_ours_and_what_was_learned_are_passed_on(tmp_path, store, pipeline_on):
    log = tmp_path / "tokens.log"
    line = {
        "@timestamp": "2026-11-22T10:00:03.120Z",
        "source": {"ip": "192.0.2.7"},
        "http": {
            "request": {
                "method": "PUT",
                "headers": {"authorization": f"Bearer {signed(sub='17', iss='https://a.example')}"},
            },
            "response": {"status_code": 201},
        },
        "url": {"original": "/notes/7"},
    }
    log.write_text(json.dumps(line) + "\n")
    ownership = [{"route": f"/{kind}/{{object}}", "learn": True} for kind in ("notes", "lists")]
    settings = Settings.model_validate({"intake": {"ownership": ownership}})
    pipeline = pipeline_on(store, settings=settings)
    take_all(pipeline, store, read_frames(str(log), pipeline.book))
    unsaid = pipeline.unsaid()
    assert unsaid.home == ["https://a.example"]
    assert unsaid.sources == {"/notes/{object}": "learn", "/lists/{object}": "nothing_learned"}


def coverage(store):
    (one,) = store.incidents()
    return one.coverage


def marred():
    """The attack with a line in it that nobody can read, one that comes late, and a gap."""
    walk = _attack.walk()
    late = _attack.entry(70 * 60 - 90, "u-10", "/api/v1/users/u-10/profile")
    return [*_attack.ordinary(), "{nonsense\n", *walk[:6], "[]\n", *walk[6:], late]


@pytest.mark.parametrize("lines", [1, 7, 10_000])
@pytest.mark.parametrize("restarts", [False, True])
def test_an_incident_says_what_the_logs_around_it_lack(
    tmp_path, store, pipeline_on, lines, restarts
):
    log = tmp_path / "marred.log"
    log.write_text("".join(marred()))
    pipeline = pipeline_on(store)
    for frame in cut(log, lines):
        take_all(pipeline, store, [frame])
        if restarts:
            pipeline = pipeline_on(store)
            pipeline.restore()
    found = coverage(store)
    assert (found.rejected, found.late, found.complete, found.gaps) == (2, 0, False, ())


def test_a_late_line_within_an_incident_is_counted(tmp_path, store, pipeline_on):
    walk = _attack.walk(start_s=70 * 60)
    second = _attack.walk(start_s=75 * 60)
    late = _attack.entry(72 * 60, "u-10", "/api/v1/users/u-10/profile")
    log = tmp_path / "late.log"
    log.write_text("".join([*_attack.ordinary(), *walk, *second, late]))
    pipeline = pipeline_on(store)
    take_all(pipeline, store, cut(log, 1))
    assert (coverage(store).late, coverage(store).complete) == (1, False)


def test_bytes_that_never_came_are_a_gap(attack, store, pipeline_on):
    frames = list(cut(attack, 1))
    del frames[845]
    pipeline = pipeline_on(store)
    take_all(pipeline, store, frames)
    missing = f"{frames[845].name}: bytes {frames[844].end:,} to {frames[845].offset:,} never came"
    assert coverage(store).gaps == (missing,)


def test_an_archive_that_breaks_off_is_a_gap(attack, store, pipeline_on):
    (whole,) = cut(attack, 10_000)
    end = len(whole.data)
    broken = Frame(
        whole.source, whole.name, end, b"", (Fault(end, "truncated_archive", "", b"{", 1),)
    )
    pipeline = pipeline_on(store)
    take_all(pipeline, store, [whole, broken])
    found = coverage(store)
    assert found.gaps == (f"{whole.name}: the archive breaks off at byte {end:,}",)
    assert (found.rejected, found.complete) == (1, False)


@pytest.mark.parametrize("lines", [1, 7])
def test_every_line_of_an_incident_is_entered_as_it_comes(attack, store, pipeline_on, lines):
    """Those of the frame in which it opened are entered by its capture."""
    pipeline = pipeline_on(store, performer=Outbox(store))
    for frame in cut(attack, lines):
        take_all(pipeline, store, [frame])
        if not list(store.log.captured()):
            for one in store.incidents():
                StoreCapture(store, lambda: 0).capture(one.id)
    (incident,) = store.incidents()
    entered = [captured.event for captured in store.log.captured(incident.id)]
    assert sorted(entered) == sorted(evidence_events(store, incident))
    assert (len(entered), len(set(entered))) == (12, 12)
