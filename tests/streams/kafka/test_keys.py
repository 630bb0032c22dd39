import shutil

import pytest

from evidence.checkpoint import parse
from evidence.signing import known_keys, rotate
from evidence.store import EmbeddedStore
from streams.kafka.keys import replace, sign
from streams.sealing import signer_of
from streams.settings import Settings
from tests._events import NOON_MS, action

ORIGIN = "breachline/default/evidence"


@pytest.fixture
def operator(tmp_path):
    """The machine where the new key is made."""
    made = Settings(data_dir=tmp_path / "operator")
    signer_of(made, create=True)
    return made


def worker(operator, name):
    """A worker that was given what the operator has."""
    given = Settings(data_dir=operator.data_dir.parent / name)
    shutil.copytree(operator.data_dir / "keys", given.data_dir / "keys", dirs_exist_ok=True)
    return given


def prepared(operator):
    """The new key stands beside the old; its public half."""
    with pytest.raises(LookupError), rotate(operator.data_dir, ORIGIN) as (_, new):
        raise LookupError
    return new.key.format()


def signed(store):
    """The ids of the keys that signed each head."""
    return [{one.key_id.hex() for one in parse(head.note)[1]} for head in store.ledger.heads()]


@pytest.fixture
def store(tmp_path):
    with EmbeddedStore.open(tmp_path / "store") as opened:
        yield opened


def ordered(store, settings, vkey):
    replace(store, settings, vkey, by="ann", why="yearly", at_ms=NOON_MS)


def test_both_keys_sign_the_change_and_then_the_new_one_alone(store, operator):
    one = worker(operator, "one")
    sign(store, one)
    store.log.append_intent(action("act-1"))
    vkey = prepared(operator)
    one = worker(operator, "one")
    ordered(store, one, vkey)
    ordered(store, one, vkey)
    store.log.append_intent(action("act-2"))
    old, new = (key.key_id.hex() for key in known_keys(one.data_dir))
    assert signed(store) == [{old}, {old, new}, {new}]
    (payload,) = store.log.payloads("key")
    assert b'"why":"yearly"' in payload


def test_the_next_owner_signs_with_the_new_key_before_and_after_it_is_moved(store, operator):
    sign(store, worker(operator, "one"))
    vkey = prepared(operator)
    ordered(store, worker(operator, "one"), vkey)
    for name in ("beside", "moved"):
        if name == "moved":
            with rotate(operator.data_dir, ORIGIN):
                pass
        sign(store, worker(operator, name))
        store.log.append_intent(action(name))
        assert signed(store)[-1] == {vkey.split("+")[1]}


def test_a_worker_without_the_new_key_does_not_sign_the_log_any_more(store, operator):
    late = worker(operator, "late")
    sign(store, worker(operator, "one"))
    vkey = prepared(operator)
    ordered(store, worker(operator, "one"), vkey)
    with pytest.raises(ValueError, match=r"was replaced by .*, which this worker has not: copy"):
        sign(store, late)


def test_a_decider_without_the_new_key_says_so_and_goes_on_with_the_old(store, operator):
    one = worker(operator, "one")
    sign(store, one)
    with pytest.raises(ValueError, match=r"no ledger\.key\.next with .*copy it, and ledger\.pub"):
        ordered(store, one, prepared(operator))
    store.log.append_intent(action())
    (key,) = known_keys(one.data_dir)
    assert signed(store) == [{key.key_id.hex()}]
