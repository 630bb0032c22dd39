import stat
import threading

import pytest

from evidence.checkpoint import parse
from evidence.signing import known_keys, load_signer, rotate
from evidence.store import EmbeddedStore
from streams.sealing import open_result, open_scan, open_signed, signer_of
from streams.settings import Settings
from tests._events import action

ORIGIN = "breachline/default/evidence"


@pytest.fixture
def settings(tmp_path):
    return Settings(data_dir=tmp_path / "var")


def heads(store):
    """(origin, size, names and keys of the signatures) of every head."""
    found = []
    for head in store.ledger.heads():
        checkpoint, signatures = parse(head.note)
        keys = [(one.name, one.key_id) for one in signatures]
        found.append((checkpoint.origin, checkpoint.size, keys))
    return found


def test_what_is_appended_is_signed_with_the_key_of_the_settings(settings):
    with open_signed(settings) as store:
        store.log.append_intent(action("act-1"))
        store.log.append_intent(action("act-2"))
        (key,) = known_keys(settings.data_dir)
        mine = [(ORIGIN, key.key_id)]
        assert heads(store) == [(ORIGIN, 1, mine), (ORIGIN, 2, mine)]
    file = settings.data_dir / "keys" / "ledger.key"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_what_stood_there_unsigned_is_signed_when_it_is_opened(settings):
    with EmbeddedStore.open(settings.data_dir) as store:
        store.log.append_intent(action())
        assert heads(store) == []
    with open_signed(settings) as store:
        assert [head[:2] for head in heads(store)] == [(ORIGIN, 1)]


def test_two_writers_at_once_sign_one_history(settings):
    with open_signed(settings) as run, open_signed(settings) as block:
        run.log.append_intent(action("act-1"))
        block.log.append_intent(action("act-2"))
        run.log.append_intent(action("act-3"))
        root = run.ledger.tree.root(3)
        assert [head[1] for head in heads(run)] == [1, 2, 3]
        (newest,) = run.ledger.heads(2)
        assert parse(newest.note)[0].root == root == block.ledger.tree.root(3)


def test_the_result_of_a_scan_has_the_public_key_beside_it(settings, tmp_path):
    with open_scan(settings, tmp_path / "out"):
        assert known_keys(tmp_path / "out") == [signer_of(settings, create=False).key]
    assert [path.name for path in (tmp_path / "out" / "keys").iterdir()] == ["ledger.pub"]


def test_a_scan_is_a_log_of_its_own_under_the_same_key(settings, tmp_path):
    origins = []
    for out in ("one", "two"):
        with open_scan(settings, tmp_path / out) as store:
            store.log.append_intent(action())
            ((origin, size, ((name, _),)),) = heads(store)
            assert (size, name) == (1, ORIGIN)
            origins.append(origin)
    assert len({ORIGIN, *origins}) == 3
    assert all(origin.startswith(f"{ORIGIN}/scan/") for origin in origins)


def test_the_key_is_not_replaced_under_a_writer(settings):
    with open_signed(settings), pytest.raises(BlockingIOError), rotate(settings.data_dir, ORIGIN):
        pytest.fail("the rotation began")
    with rotate(settings.data_dir, ORIGIN) as (old, new):
        pass
    assert [key.key_id for key in known_keys(settings.data_dir)] == [old.key_id, new.key_id]


def test_a_writer_that_waited_for_a_rotation_has_the_new_key(settings):
    signer_of(settings, create=True)
    signed = []

    def write():
        with open_signed(settings) as store:
            store.log.append_intent(action())
            signed.extend(heads(store))

    with rotate(settings.data_dir, ORIGIN) as (_, new):
        writer = threading.Thread(target=write)
        writer.start()
    writer.join(30)
    assert signed == [(ORIGIN, 1, [(ORIGIN, new.key_id)])]


def test_a_key_file_of_the_settings_is_the_one(settings, tmp_path):
    file = tmp_path / "elsewhere" / "signing.key"
    ledger = settings.ledger.model_copy(update={"key_file": file})
    settings = settings.model_copy(update={"ledger": ledger})
    with open_signed(settings) as store:
        store.log.append_intent(action())
        (key,) = known_keys(settings.data_dir)
        assert heads(store)[0][2] == [(ORIGIN, key.key_id)]
    assert load_signer(tmp_path / "other", ORIGIN, key_file=file, create=False).key == key
    assert not (settings.data_dir / "keys" / "ledger.key").exists()


def test_without_the_key_nothing_is_written_in_its_log(settings):
    with open_signed(settings) as store:
        store.log.append_intent(action())
    (settings.data_dir / "keys" / "ledger.key").unlink()
    with pytest.raises(FileNotFoundError, match="restore it from a backup"), open_signed(settings):
        pytest.fail("it was opened")


def test_whoever_needs_a_key_that_others_made_is_told_how_to_get_it(settings):
    with pytest.raises(FileNotFoundError, match=r"copy it from .* or make the first with"):
        signer_of(settings, create=False)


def test_a_finished_scan_is_signed_on_by_who_has_its_key(settings, tmp_path):
    out = tmp_path / "out"
    with open_scan(settings, out) as store:
        store.log.append_intent(action("act-1"))
        (first,) = heads(store)
    with open_result(settings, out) as store:
        store.log.append_intent(action("act-2"))
        assert heads(store) == [first, (first[0], 2, first[2])]
    assert sorted(path.name for path in out.iterdir()) == ["breachline.db", "keys"]


def test_a_finished_scan_is_not_written_without_its_key(settings, tmp_path):
    out = tmp_path / "out"
    with open_scan(settings, out) as store:
        store.log.append_intent(action("act-1"))
    other = Settings(data_dir=tmp_path / "other")
    with pytest.raises(FileNotFoundError), open_result(other, out):
        pytest.fail("there is no key")
    with open_signed(other):
        pass
    with (
        pytest.raises(ValueError, match="not signed with the key of this"),
        open_result(other, out),
    ):
        pytest.fail("it is another")
