from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from tests._followed import Reader, Writer

OPERATIONS = st.sampled_from(
    "append append partial rename reopen copytruncate pack restart poll poll drain".split()
)


@settings(max_examples=300, deadline=None)
@given(operations=st.lists(OPERATIONS, max_size=40), max_bytes=st.sampled_from([1, 5, 30, 1000]))
def test_no_line_is_lost_or_repeated_whatever_happens(operations, max_bytes):
    with TemporaryDirectory() as directory:
        path = Path(directory) / "access.log"
        writer, reader = Writer(path), Reader(path, linger_polls=4)
        writer.append()
        reader.drain(max_bytes)
        for operation in operations:
            match operation:
                case "append":
                    writer.append()
                case "partial":
                    writer.begin_line()
                case "rename":
                    writer.rename()
                case "reopen":
                    writer.reopen()
                case "copytruncate":
                    if writer.partial:
                        writer.append()
                    # What has never been seen under the path cannot be known in a copy.
                    if not reader.has_begun():
                        reader.drain(max_bytes)
                    writer.copytruncate()
                case "pack":
                    writer.pack()
                case "restart":
                    reader.restart()
                case "poll":
                    reader.take(max_bytes)
                case _:
                    reader.drain(max_bytes)
        if writer.partial:
            writer.append()
        reader.drain(max_bytes, finish=True)
        reader.follower.close()
        writer.file.close()
        assert sorted(reader.lines) == sorted(writer.lines)
