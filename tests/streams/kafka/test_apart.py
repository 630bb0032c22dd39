import pytest

from streams.kafka.apart import Apart, Cutter, message, read, without
from streams.lines import MAX_LINE_BYTES
from streams.listen.faults import too_long
from streams.listen.inbox import Delivery, Parcel, identity

SOURCE = "00000000000000aa"
A, B, C = (identity(name) for name in "abc")
NONE = bytes(16)


def delivery(*parcels):
    return Delivery("http", parcels, None, None)


def cut(*parcels, max_bytes=1000):
    return list(Cutter(max_bytes).frames(delivery(*parcels)))


def frame(data, names, faults=()):
    return Apart(SOURCE, "a.log", 0, data, faults, names)


@pytest.mark.parametrize(
    ("parcel", "expected"),
    [
        (Parcel(SOURCE, "a.log", [b"one", b"two"], [A, b""]), [frame(b"one\ntwo", A + NONE)]),
        (Parcel(SOURCE, "a.log", [b"one", b"two"]), [frame(b"one\ntwo", NONE + NONE)]),
        # Blank lines are none, and take their names with them.
        (Parcel(SOURCE, "a.log", [b"", b"one", b" \t"], [A, B, C]), [frame(b"one", B)]),
        (Parcel(SOURCE, "a.log", [b""], [A]), []),
        (
            Parcel(SOURCE, "a.log", [b"x" * 6, b"y" * 6, b"z"], [A, B, C]),
            [frame(b"x" * 6, A), frame(b"y" * 6 + b"\nz", B + C)],
        ),
        (Parcel(SOURCE, "a.log", [b"x" * 60, b"y"], [A, B]),
         [frame(b"x" * 60, A), frame(b"y", B)]),
    ],
)  # fmt: skip
def test_a_delivery_as_frames(parcel, expected):
    assert cut(parcel, max_bytes=10) == expected


def test_a_line_longer_than_any_logs_becomes_a_fault_in_its_turn():
    long = b"x" * (MAX_LINE_BYTES + 1)
    parcel = Parcel(SOURCE, "a.log", [b"a", long, b"b"], [A, B, C])
    fault = frame(b"", B, (too_long(long, 0),))
    assert cut(parcel) == [frame(b"a", A), fault, frame(b"b", C)]


def test_senders_cannot_make_sources_without_end(monkeypatch):
    monkeypatch.setattr("streams.kafka.apart.MAX_SOURCES", 2)
    cutter = Cutter(1000)
    parcels = [Parcel(f"{n:016x}", f"{n}.log", [b"x"]) for n in (0, 1, 2, 3, 1)]
    names = [found.name for found in cutter.frames(delivery(*parcels))]
    assert names == ["0.log", "1.log", "http: other sources", "http: other sources", "1.log"]


def test_there_and_back():
    value, headers = message(frame(b"one\ntwo", A + NONE))
    assert headers == [
        ("source", SOURCE.encode()), ("name", b"a.log"), ("names", A + NONE),
    ]  # fmt: skip
    assert read(value, dict(headers), 0) == ([b"one", b"two"], [A, b""])


def test_lines_that_no_broker_takes_keep_their_names():
    found = without(frame(b"one\ntwo", A + NONE))
    assert found == frame(b"", A + NONE, (too_long(b"one", 0), too_long(b"two", 1)))
    value, headers = message(found)
    assert [name for name, _ in headers] == ["source", "name", "names", "faults"]
    assert read(value, dict(headers), 2) == ([], [A, b""])


@pytest.mark.parametrize(
    ("value", "names", "faults"),
    [(b"one\ntwo", A, 0), (b"one", A + B, 0), (b"one", b"", 0), (b"one", A[:-1], 0), (b"", A, 2)],
)
def test_a_message_without_a_name_for_each_line_is_none_of_ours(value, names, faults):
    with pytest.raises(ValueError, match="without a name for each line"):
        read(value, {"names": names}, faults)
