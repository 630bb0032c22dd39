"""Heads that stand elsewhere than the log: what a rewritten log cannot take back.

A file with one JSON object a line, `{"note": "..."}`, comes in; marks in order go out, and what is
wrong with the file itself.
"""

from collections.abc import Iterable
from pathlib import Path

import msgspec

from evidence.verify.notes import Trust, read_head, read_note
from evidence.verify.report import Report
from evidence.verify.trace import Mark


class _Line(msgspec.Struct, frozen=True):
    note: str


def read_published(path: Path) -> Iterable[tuple[int, bytes]]:
    """(number, bytes) of each line that is not empty.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                yield number, line


def published_marks(
    lines: Iterable[tuple[int, bytes]], origin: str, trust: Trust, report: Report
) -> list[Mark]:
    """The published heads of this log, by size; of others they may be, but not all."""
    found: dict[int, Mark] = {}
    others: set[str] = set()
    for number, line in lines:
        what = f"the published head of line {number}"
        try:
            note = read_note(msgspec.json.decode(line, type=_Line).note)
            head = read_head(note.text)
            if head.origin != origin:
                others.add(head.origin)
                continue
            trust.check(note, what)
        except LookupError as error:
            report.add("unknown key", f"{error.args[0]}, which is not known here")
            continue
        except ValueError as error:
            report.add("forged head", f"{what} cannot be used: {error}")
            continue
        mark = Mark(head.size, head.root, f"the published head over {head.size} (line {number})")
        if found.setdefault(head.size, mark).root != head.root:
            says = f"{mark.says} and {found[head.size].says} differ: two logs were signed"
            report.add("rewritten", says)
    if others and not found:
        report.add(
            "rewritten",
            f"the published heads are of {', '.join(sorted(others))}, and this log is {origin}",
        )
    return [found[size] for size in sorted(found)]
