"""A line that is longer than any log's may be, as the fault that becomes a reject."""

import hashlib

from streams.lines import FAULT_HEAD_BYTES, Fault


def too_long(line: bytes, offset: int) -> Fault:
    """A line that is longer than any log's, as what becomes a reject."""
    sha256 = hashlib.sha256(line).hexdigest()
    return Fault(offset, "too_long", sha256, line[:FAULT_HEAD_BYTES], len(line) + 1)
