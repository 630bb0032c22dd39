import pytest

from console.overview import Overview
from evidence.keys import CredentialDigest
from evidence.store import EmbeddedStore
from intake.ownership import Tables
from streams.pipeline import Pipeline
from streams.settings import load
from streams.sources import read_frames
from tests import _attack


@pytest.fixture
def store(tmp_path):
    with EmbeddedStore.open(tmp_path / "var") as opened:
        yield opened


@pytest.fixture
def overview(store, attack, tmp_path, monkeypatch):
    """Makes the words of a run, and the pipeline that they are about."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["breachline"])
    settings = load(attack.parent / "breachline.yaml", {}, tmp_path).settings

    def make(*, example=False, folder="var"):
        digest = CredentialDigest(b"k" * 32)
        pipeline = Pipeline(
            settings, Tables(), store, digest, event_time=True, resumable=True
        )  # fmt: skip
        pipeline.restore()
        mine = settings.model_copy(update={"data_dir": tmp_path / folder})
        return Overview(pipeline, store, mine, example=example), pipeline

    return make


def read(pipeline, store, log):
    for frame in read_frames(str(log), pipeline.book):
        with store.transaction():
            pipeline.take(frame)
            pipeline.checkpoint()


def test_a_first_run(overview, store, attack, capsys):
    words, pipeline = overview()
    words.begin([str(attack), "logs/[b].log"])
    assert capsys.readouterr().out == "Reading access.log, [b].log.\n"
    read(pipeline, store, attack)
    words.caught_up()
    shown = capsys.readouterr().out
    for part in (
        "\nRead 852 lines: 852 events, 0 rejected, 0 duplicate, 0 late.\n",
        "\n1 incident, 1 breach\n",
        "12 people affected, a breach\n",
        "would block 203.0.113.7 for 1 h",
        "Following: new findings appear here. Ctrl-C ends.",
    ):
        assert part in shown
    assert "--data-dir" not in shown
    words.end()
    assert capsys.readouterr().out == "\nKept in var/; the next run goes on from here.\n"


def test_what_came_after_is_in_the_last_words(overview, store, attack, capsys):
    words, pipeline = overview()
    read(pipeline, store, attack)
    words.caught_up()
    more = attack.parent / "more.log"
    more.write_text(_attack.entry(70 * 60 + 30, "u-66", "/api/v1/wallets/u-77/transactions"))
    read(pipeline, store, more)
    capsys.readouterr()
    words.end()
    assert "13 people affected" in capsys.readouterr().out


def test_the_second_run_says_what_is_new_and_what_is_known(overview, store, attack, capsys):
    _, pipeline = overview()
    read(pipeline, store, attack)
    words, _ = overview(folder="else where")
    words.begin([str(attack)])
    words.end()
    shown = capsys.readouterr().out
    assert shown.startswith(
        "Reading access.log, after the 852 lines that earlier runs read.\n\n0 new lines. In all:\n"
    )
    assert "12 people affected" in shown
    assert "--data-dir 'else where'" in shown


def test_an_empty_log_is_not_called_safe(overview, capsys):
    words, _ = overview()
    words.end()
    shown = capsys.readouterr().out
    assert "There is no line yet, so nothing could be judged." in shown
    assert "No incident" not in shown


def test_an_example_shows_people_reasons_and_evidence(overview, store, attack, capsys):
    words, pipeline = overview(example=True)
    words.begin(["access.log"])
    read(pipeline, store, attack)
    words.end()
    shown = capsys.readouterr().out
    for part in (
        "Playing the bundled example",
        "the people to notify\n  " + ", ".join(_attack.VICTIMS) + "\n",
        "Why it would be acted on\n  cross_user_read (critical): u-66 read financial data",
        "Guards: all guards passed.\n",
        "Evidence: 3 of 12 log lines\n",
        '"original": "/api/v1/wallets/u-10/x"',
        "  make run LOG=/path/to/access.log\n  breachline run /path/to/access.log\n",
    ):
        assert part in shown


def test_what_is_listened_to_is_said_before_what_is_read(overview, capsys):
    words, _ = overview()
    words.begin(["/var/log/access.log", "-"], ["HTTP on 127.0.0.1:8088"])
    words.begin([], ["syslog over UDP on 127.0.0.1:5514"])
    assert capsys.readouterr().out == (
        "Listening: HTTP on 127.0.0.1:8088.\n"
        "Reading access.log, standard input.\n"
        "Listening: syslog over UDP on 127.0.0.1:5514.\n"
    )
