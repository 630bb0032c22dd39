import pytest

from console.fault import Refused
from console.reading import batches, reader_of
from streams.settings import Settings, load
from tests import _attack
from tests.e2e import _two_logs


def test_every_frame_with_its_batch(tmp_path):
    log = _attack.write(tmp_path)
    reader = reader_of(Settings(data_dir=tmp_path / "var"), "auto")
    found = list(batches([str(log)], reader))
    assert {frame.name for frame, _ in found} == {str(log)}
    assert sum(len(batch.events) for _, batch in found) == 852
    assert sum(batch.lines for _, batch in found) == 852


def test_a_format_that_is_none_is_refused(tmp_path):
    with pytest.raises(Refused, match="unknown format 'cobol'"):
        reader_of(Settings(data_dir=tmp_path / "var"), "cobol")


def test_a_line_is_told_of_without_its_other_half(tmp_path):
    logs = _two_logs.write(tmp_path)
    settings = load(tmp_path / "breachline.yaml", {}, tmp_path).settings
    reader = reader_of(settings.model_copy(update={"data_dir": tmp_path / "var"}), "auto")
    found = [batch for _, batch in batches([str(log) for log in logs], reader)]
    assert sum(len(batch.events) for batch in found) == 2 * len(_two_logs.requests())
