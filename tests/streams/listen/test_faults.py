import hashlib

from streams.lines import FAULT_HEAD_BYTES, Fault
from streams.listen.faults import too_long


def test_it_is_kept_by_its_digest_and_its_head():
    line = bytes(range(256)) * 100
    sha256 = hashlib.sha256(line).hexdigest()
    expected = Fault(7, "too_long", sha256, line[:FAULT_HEAD_BYTES], len(line) + 1)
    assert too_long(line, 7) == expected
