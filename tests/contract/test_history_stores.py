"""Our own segments answer as every history does; others stand in tests/stack."""

import pytest

from evidence.history import History
from intake.frames import SourceState
from tests._histories import DOCUMENTS, LINES, Contract, as_lines, reader


@pytest.fixture(scope="module")
def history(tmp_path_factory):
    state = SourceState("a1b2", "access.log")
    events = reader().read_apart(state, as_lines(DOCUMENTS), range(LINES)).events
    with History(tmp_path_factory.mktemp("history"), segment_rows=25) as opened:
        opened.append(events)
        opened.flush()
        yield opened


class TestSegments(Contract):
    pass
