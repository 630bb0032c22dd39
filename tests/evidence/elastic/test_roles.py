import fnmatch

import pytest

from evidence.elastic.roles import READER, ROLES, SETUP, WRITER
from evidence.elastic.templates import HEADS, INCIDENTS, INDICES, STREAMS

DELETES = {"all", "delete", "delete_index", "manage", "write", "maintenance"}
"""Named privileges that hold the right to remove documents or indices, or to change what stands."""


def privileges(role, index):
    return {
        name
        for block in role["indices"]
        if any(fnmatch.fnmatch(index, pattern) for pattern in block["names"])
        for name in block["privileges"]
    }


@pytest.mark.parametrize("name", ROLES)
@pytest.mark.parametrize("index", [*STREAMS, *INDICES])
def test_nobody_may_delete(name, index):
    held = privileges(ROLES[name], index)
    assert held.isdisjoint(DELETES)
    assert not any("delete" in one or "*" in one for one in held)
    assert set(ROLES[name]["cluster"]).isdisjoint({"all", "manage", "manage_security"})


@pytest.mark.parametrize("place", [*STREAMS, HEADS])
def test_the_writer_adds_and_changes_nothing(place):
    assert privileges(WRITER, place) == {
        "auto_configure", "create_doc", "read", "view_index_metadata",
    }  # fmt: skip


def test_only_incidents_are_written_again():
    assert "index" in privileges(WRITER, INCIDENTS)


def test_setup_writes_no_document_and_the_reader_writes_nothing():
    for index in (*STREAMS, *INDICES):
        assert privileges(SETUP, index).isdisjoint({"create_doc", "index", "create"})
        assert privileges(READER, index) == {"read", "view_index_metadata"}
    assert "manage_index_templates" in SETUP["cluster"]
    assert "manage_index_templates" not in WRITER["cluster"]


def test_other_peoples_indices_are_closed():
    for role in ROLES.values():
        assert privileges(role, "logs-nginx.access-default") == set()
        assert privileges(role, ".security-7") == set()
