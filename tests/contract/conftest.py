"""A log to tamper with, made once for the tests of a file."""

import shutil

import pytest

from tests._ledger import alone, exported, fill, sealed


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """A store, in one file without a -wal, and its bundle; nobody writes to them."""
    folder = tmp_path_factory.mktemp("original")
    with sealed(folder / "store") as store:
        fill(store)
        exported(store, folder / "case.zip", published=[next(store.ledger.heads()).note])
    alone(folder / "store")
    return folder


@pytest.fixture
def folder(original, tmp_path):
    """A copy of that store, to be changed."""
    shutil.copytree(original / "store", tmp_path / "store")
    return tmp_path / "store"
