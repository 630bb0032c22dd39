import hashlib

import msgspec
import pytest

from evidence.store import EmbeddedStore
from streams.kafka import replica
from streams.kafka.decide import image, statements
from streams.kafka.replica import ANOTHER, Fresh, Mark, Record, bring_up, mark_of, understood
from streams.kafka.settings import Kafka
from streams.settings import Settings
from tests._events import incident

KAFKA = Kafka(brokers=["192.0.2.1:9092"], prefix="bank.")


class Journal:
    """The decider's store and what it would have in its topic; every fifth offset is a marker."""

    def __init__(self, folder):
        self.store = EmbeddedStore.open(folder)
        self.store.note_statements()
        self.records = []
        self.begin = 0
        self.end = 0
        self.reads = []

    def decides(self, *ids):
        self.store.put_incidents([incident(one) for one in ids])
        for value in statements(self.store.take_statements()):
            self._add(b"delta", value)
        self.end += 1
        return self

    def rebases(self):
        self.begin = self.end
        for value in image(self.store):
            self._add(b"base", value)
        self.records = [record for record in self.records if record.offset >= self.begin]
        self.end += 1
        return self

    def _add(self, key, value):
        self.records.append(Record(self.end, key, value, 1_000 + self.end))
        self.end += 1

    def read(self, mark):
        """As `replica._read` asks the brokers."""
        self.reads.append(mark and mark.next)
        if mark is not None and not (self.begin <= mark.last and mark.next <= self.end):
            return ANOTHER
        start = self.begin if mark is None else mark.last
        found = [record for record in self.records if record.offset >= start]
        return understood(mark, self.begin, found, self.end)


@pytest.fixture
def journal(tmp_path):
    made = Journal(tmp_path / "decider")
    yield made
    made.store.close()


@pytest.fixture
def here(tmp_path):
    return tmp_path / "replica" / "of-it"


def follow(folder, journal):
    """(incident ids, name of the file's folder) after one call."""
    folder.mkdir(parents=True, exist_ok=True)
    about = bring_up(folder, "cluster-1", KAFKA, journal.read)
    with EmbeddedStore.open_readonly(folder / about.store) as store:
        return [one.id for one in store.incidents()], about.store


def test_only_what_is_new_is_read(journal, here):
    first = follow(here, journal.decides("inc-1").decides("inc-2"))
    again = follow(here, journal)
    later = follow(here, journal.decides("inc-3"))
    assert (first[0], again, later[0]) == (["inc-1", "inc-2"], first, ["inc-1", "inc-2", "inc-3"])
    assert later[1] == first[1]
    assert journal.reads == [None, 4, 4]


def test_the_file_says_where_it_stands(journal, here):
    _, name = follow(here, journal.decides("inc-1"))
    last = journal.records[-1]
    with EmbeddedStore.open_readonly(here / name) as store:
        assert mark_of(store) == Mark(2, 0, hashlib.sha256(last.value).digest(), 1_000)
    assert mark_of(journal.store) is None


def test_a_newer_base_replaces_the_file(journal, here):
    first = follow(here, journal.decides("inc-1"))
    later = follow(here, journal.decides("inc-2").rebases().decides("inc-3"))
    assert later[0] == ["inc-1", "inc-2", "inc-3"]
    assert later[1] != first[1]
    assert [path.name for path in here.glob("store-*")] == [later[1]]
    assert follow(here, journal.decides("inc-4")) == ([*later[0], "inc-4"], later[1])


def test_a_journal_begun_anew_is_another(journal, here, tmp_path):
    follow(here, journal.decides("inc-1").decides("inc-2"))
    anew = Journal(tmp_path / "anew").decides("inc-8").decides("inc-9")
    shorter = Journal(tmp_path / "shorter").decides("inc-7")
    with anew.store, shorter.store:
        assert follow(here, anew)[0] == ["inc-8", "inc-9"]
        assert follow(here, shorter)[0] == ["inc-7"]


@pytest.mark.parametrize("harm", [b"x" * 9_000, b""], ids=["damaged", "emptied"])
def test_a_file_that_cannot_be_continued_is_made_again(journal, here, harm):
    first = follow(here, journal.decides("inc-1"))
    (here / first[1] / "breachline.db").write_bytes(harm)
    later = follow(here, journal.decides("inc-2"))
    assert (later[0], later[1] == first[1]) == (["inc-1", "inc-2"], False)


def test_who_dies_half_way_leaves_what_was_there(journal, here):
    first = follow(here, journal.decides("inc-1"))

    class Dead(Exception):
        pass

    def read(mark):
        if mark is None:
            raise Dead
        return ANOTHER

    with pytest.raises(Dead):
        bring_up(here, "cluster-1", KAFKA, read)
    assert follow(here, journal) == first


def test_half_a_change_is_none(journal, here):
    first = follow(here, journal.decides("inc-1"))
    journal.decides("inc-2")
    broken = msgspec.msgpack.encode(("statements", [("INSERT INTO nowhere VALUES (?)", [(1,)])]))

    def read(mark):
        fresh = journal.read(mark)
        if mark is None:
            raise ConnectionError
        return fresh._replace(records=[*fresh.records, broken])

    with pytest.raises(ConnectionError):
        bring_up(here, "cluster-1", KAFKA, read)
    with EmbeddedStore.open_readonly(here / first[1]) as store:
        assert [one.id for one in store.incidents()] == ["inc-1"]


def record(offset, key=b"delta", value=b"v"):
    return Record(offset, key, value, offset)


def mark(last, end, value=b"v"):
    return Mark(end, last, hashlib.sha256(value).digest(), last)


UNDERSTOOD = [
    ("nothing yet", None, 0, [], 0, Fresh(True, [], None)),
    ("from the first", None, 0, [record(0), record(2)], 3, Fresh(True, [b"v", b"v"], mark(2, 3))),
    (
        "from the last base, which has two pieces",
        None, 0,
        [record(0, b"base", b"a"), record(1, b"delta", b"b"), record(3, b"base", b"c"),
         record(4, b"base", b"d"), record(6, b"delta", b"e")], 7,
        Fresh(True, [b"c", b"d", b"e"], mark(6, 7, b"e")),
    ),
    ("nothing new", mark(2, 3), 0, [record(2)], 5, Fresh(False, [], None)),
    ("new", mark(2, 3), 0, [record(2), record(3, b"delta", b"w")], 5,
     Fresh(False, [b"w"], mark(3, 5, b"w"))),
    ("a base since", mark(2, 3), 0, [record(2), record(3, b"base")], 5, ANOTHER),
    ("another record there", mark(2, 3), 0, [record(2, value=b"w")], 5, ANOTHER),
    ("no record there", mark(2, 3), 0, [record(3)], 5, ANOTHER),
    ("none at all", mark(2, 3), 0, [], 5, ANOTHER),
]  # fmt: skip


@pytest.mark.parametrize(
    ("at", "begin", "records", "end", "expected"),
    [row[1:] for row in UNDERSTOOD],
    ids=[row[0] for row in UNDERSTOOD],
)
def test_what_records_mean(at, begin, records, end, expected):
    assert understood(at, begin, records, end) == expected


def test_a_journal_without_its_beginning_is_refused():
    with pytest.raises(ValueError, match="it begins at 7 and not with a whole state"):
        understood(None, 7, [record(7)], 8)
    assert understood(None, 7, [record(7, b"base")], 8).records == [b"v"]


class TestOffline:
    def deploy(self, tmp_path, journal, cluster="cluster-1"):
        folder = tmp_path / replica.FOLDER / cluster
        folder.mkdir(parents=True)
        bring_up(folder, cluster, KAFKA, journal.read)

    def test_what_was_read_last_answers(self, tmp_path, journal):
        self.deploy(tmp_path, journal.decides("inc-1"))
        known = Settings(data_dir=tmp_path, kafka=KAFKA)
        with replica.opened(known, {}, offline=True) as store:
            assert [one.id for one in store.incidents()] == ["inc-1"]

    def test_of_two_clusters_that_had_the_address_the_last(self, tmp_path, journal):
        self.deploy(tmp_path, journal.decides("inc-1"))
        self.deploy(tmp_path, journal.decides("inc-2"), "cluster-2")
        with replica.opened(Settings(data_dir=tmp_path, kafka=KAFKA), {}, offline=True) as store:
            assert [one.id for one in store.incidents()] == ["inc-1", "inc-2"]

    @pytest.mark.parametrize(
        "other", [{"prefix": "shop."}, {"brokers": ["192.0.2.2:9092"]}], ids=["prefix", "brokers"]
    )
    def test_another_deployment_is_not_this_one(self, tmp_path, journal, other):
        self.deploy(tmp_path, journal.decides("inc-1"))
        another = Settings(data_dir=tmp_path, kafka=KAFKA.model_copy(update=other))
        with (
            pytest.raises(FileNotFoundError, match="nothing of this deployment was read before"),
            replica.opened(another, {}, offline=True),
        ):
            pass


def test_brokers_that_are_down_are_said_and_what_still_answers(tmp_path, journal):
    down = KAFKA.model_copy(update={"brokers": ["127.0.0.1:9"]})
    known = Settings(data_dir=tmp_path, kafka=down)
    says = "Kafka at 127.0.0.1:9: nothing listens there: is it running, and is kafka.brokers right?"
    with pytest.raises(ConnectionError) as error, replica.opened(known, {}):
        pass
    assert str(error.value) == says
    folder = tmp_path / replica.FOLDER / "cluster-1"
    folder.mkdir(parents=True)
    bring_up(folder, "cluster-1", down, journal.decides("inc-1").read)
    with pytest.raises(ConnectionError) as error, replica.opened(known, {}):
        pass
    assert str(error.value) == f"{says} (--offline answers from what was read last)"


def test_without_kafka_there_is_nothing_to_follow(tmp_path):
    with (
        pytest.raises(ValueError, match="needs `kafka:` in the configuration"),
        replica.opened(Settings(data_dir=tmp_path), {}),
    ):
        pass
