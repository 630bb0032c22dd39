"""A small attack as a log and the parts that read it; a followed log; a gateway."""

import pytest

from evidence.keys import CredentialDigest
from evidence.store import EmbeddedStore
from intake.ownership import Tables
from streams.pipeline import Pipeline
from streams.settings import load
from tests import _attack
from tests._followed import Reader
from tests._gateway import Gateway


@pytest.fixture
def attack(tmp_path):
    """The log of `_attack`, beside its configuration."""
    return _attack.write(tmp_path / "attack")


@pytest.fixture
def settings(attack):
    return load(attack.parent / "breachline.yaml", {}, attack.parent).settings


@pytest.fixture
def store(tmp_path):
    with EmbeddedStore.open(tmp_path / "store") as opened:
        yield opened


@pytest.fixture
def gateway():
    with Gateway() as running:
        yield running


@pytest.fixture
def log(tmp_path):
    return tmp_path / "access.log"


@pytest.fixture
def reader(log):
    reader = Reader(log)
    yield reader
    reader.follower.close()


@pytest.fixture
def pipeline_on(settings):
    """Makes a pipeline on a store; the key is always the same, so that ids are."""

    def make(store, **given):
        given = {"event_time": True, "resumable": True, **given}
        digest = CredentialDigest(b"k" * 32)
        return Pipeline(given.pop("settings", settings), Tables({}, {}, []), store, digest, **given)

    return make
