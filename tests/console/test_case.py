import pytest

from console.case import answering, desk_of, folder_of, incident_of, opened
from console.fault import Refused, Unreachable
from evidence.store import EmbeddedStore
from streams.settings import Settings
from tests import _attack
from tests._events import finding, incident
from tests.console._deployment import KAFKA, remember


@pytest.fixture
def settings(tmp_path):
    return Settings(data_dir=tmp_path / "var")


def make(folder, *, finished=True):
    with EmbeddedStore.open(folder):
        if finished:
            (folder / "summary.json").write_text("{}")
    return folder


def test_what_is_read_by_default(settings, tmp_path):
    with pytest.raises(Refused, match="nothing was kept there yet; run `breachline scan LOG`"):
        folder_of(settings, None)
    last = make(tmp_path / "var" / "scans" / "last")
    assert folder_of(settings, None) == last
    live = make(tmp_path / "var", finished=False)
    assert folder_of(settings, None) == live
    assert folder_of(settings, last) == last
    with pytest.raises(Refused, match=r"reading .*nowhere: nothing was kept"):
        folder_of(settings, tmp_path / "nowhere")


def test_a_scan_that_was_killed_is_not_read(settings, tmp_path):
    last = make(tmp_path / "var" / "scans" / "last", finished=False)
    for folder in (None, last):
        with pytest.raises(Refused, match="the scan did not finish; scan again"):
            folder_of(settings, folder)


BROKEN = [
    ("empty", b"", "no data in"),
    ("not a database", b"x" * 5000, "is not a database: move it away"),
]


@pytest.mark.parametrize(("name", "data", "says"), BROKEN, ids=[c[0] for c in BROKEN])
def test_a_store_that_cannot_be_read_is_refused(settings, name, data, says):
    settings.data_dir.mkdir()
    (settings.data_dir / "breachline.db").write_bytes(data)
    with pytest.raises(Refused) as error, opened(settings, None):
        pass
    assert says in error.value.problems[0]


def test_a_reader_that_leaves_early_leaves_nothing_half_read(settings):
    """Warnings are errors here: a cursor that outlives its store would be one."""
    make(settings.data_dir)
    with EmbeddedStore.open(settings.data_dir) as store:
        store.put_findings([finding(f"fin-{n}") for n in range(3)])

    def read_one(store):
        for _ in (one.id for one in store.findings()):
            raise BrokenPipeError

    with pytest.raises(BrokenPipeError), opened(settings, None) as store:
        read_one(store)


@pytest.fixture
def store(tmp_path):
    with EmbeddedStore.open(tmp_path / "store") as opened_store:
        opened_store.put_incidents(
            [incident("inc-aa1"), incident("inc-aa2"), incident("inc-b1", merged=("inc-c1",))]
        )
        yield opened_store


FOUND = [("inc-aa1", "inc-aa1"), ("inc-b", "inc-b1"), ("b", "inc-b1"), ("inc-c1", "inc-b1")]


@pytest.mark.parametrize(("typed", "expected"), FOUND)
def test_an_incident_by_what_was_typed(store, typed, expected):
    assert incident_of(store, typed).id == expected


NOT_FOUND = [
    ("inc-zz", "no incident 'inc-zz': `breachline incidents` lists them"),
    ("", "no incident ''"),
    ("inc-aa", "begins more than one incident (inc-aa1, inc-aa2)"),
    ("%", "no incident '%'"),
]


@pytest.mark.parametrize(("typed", "says"), NOT_FOUND)
def test_one_that_is_not_there_or_not_alone(store, typed, says):
    with pytest.raises(Refused) as error:
        incident_of(store, typed)
    assert says in error.value.problems[0]


def test_the_desk_knows_whose_data(settings, result, case):
    with opened(settings, result) as store:
        assert desk_of(store, settings).impact(case).users == tuple(_attack.VICTIMS)


class TestOfADeployment:
    @pytest.fixture
    def deployed(self, settings, result):
        remember(settings.data_dir, result)
        return settings.model_copy(update={"kafka": KAFKA})

    def test_it_answers_as_it_was_last_known(self, deployed, case, capsys):
        with answering(deployed, None, offline=True) as store:
            assert desk_of(store, deployed).impact(case).users == tuple(_attack.VICTIMS)
        assert capsys.readouterr().err == "The deployment as it was at 1970-01-01T00:00:00.000Z.\n"

    def test_brokers_that_are_down(self, deployed):
        with (
            pytest.raises(Unreachable, match=r"nothing listens there.*\(--offline answers from"),
            answering(deployed, None),
        ):
            pass

    def test_what_is_named_or_kept_here_is_read_without_brokers(self, settings, deployed, result):
        with answering(deployed, result) as named, answering(settings, result) as here:
            assert list(named.incidents()) == list(here.incidents())

    def test_nothing_was_read_before(self, settings):
        known = settings.model_copy(update={"kafka": KAFKA})
        with (
            pytest.raises(Refused, match="nothing of this deployment was read before"),
            answering(known, None, offline=True),
        ):
            pass
