r"""A server's own format string as an expression for its lines, or why lines so written lie.

Pieces (literals and slots) in; a pattern with a group a wanted slot out. Quotes and tabs are
barriers: servers escape them in what clients write. Between two barriers only one slot may hold
anything (text); a second one is refused, for a client could write what stands between the two.
Every part MUST be bounded or possessive, so that a line takes time linear in its length.
"""

import re
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Literal, NamedTuple

BARRIERS = '"\t'
_LONGEST_WORD = 512
_TEXT = r'(?:[^"\\\t]++|\\.)*+'
_LAZY_TEXT = r'(?:[^"\\\t]|\\.)*?'


class Slot(NamedTuple):
    """A place in a line where a value stands."""

    label: str
    """As the format string writes it."""
    key: str
    """The name of the value in a record; "" for what is skipped over."""
    kind: Literal["fixed", "text", "unknown"]
    """fixed: of the `shape`. text: may hold anything. unknown: nobody here knows; no spaces."""
    shape: str = ""
    """For text: what the server writes for nothing although no client can."""


Piece = str | Slot


class Layout(NamedTuple):
    """What a format string says."""

    source: str
    pieces: tuple[Piece, ...]
    escaped: bool = True
    """The server escapes quotes and control characters in values."""


def segments(layout: Layout) -> Iterator[tuple[list[Piece], str]]:
    """(pieces, the barrier after them) from barrier to barrier; the last has the barrier ""."""
    found: list[Piece] = []
    for piece in layout.pieces:
        if isinstance(piece, Slot) or not layout.escaped:
            found.append(piece)
            continue
        for part in re.split(f"([{BARRIERS}])", piece):
            if part in set(BARRIERS):
                yield found, part
                found = []
            elif part:
                found.append(part)
    yield found, ""


def check(layout: Layout) -> None:
    """Raise ValueError if a client could forge a field, with what to do about it."""
    if any("\n" in piece for piece in layout.pieces if isinstance(piece, str)):
        raise ValueError(f"log format {layout.source!r} writes several lines a request")
    for pieces, _ in segments(layout):
        slots = [piece for piece in pieces if isinstance(piece, Slot)]
        texts = [slot for slot in slots if slot.kind == "text"]
        others = [slot for slot in slots if slot.kind == "unknown"]
        if texts and (rival := (texts[1:] + others)[:1]):
            raise ValueError(_rivals(layout, texts[0].label, rival[0].label))
        for slot, after in pairwise(pieces):
            if isinstance(slot, Slot) and slot.kind != "fixed" and isinstance(after, Slot):
                raise ValueError(_rivals(layout, slot.label, after.label))


def _rivals(layout: Layout, one: str, other: str) -> str:
    remedy = (
        f'put quotes round each of them ("{one}")'
        if layout.escaped
        else "drop escape=none: without escapes, quotes keep nothing apart"
    )
    return (
        f"log format {layout.source!r}: nothing tells where {one} ends and {other} begins, and a "
        f"client may write either; {remedy}"
    )


def pattern(
    layout: Layout, wanted: Callable[[str], bool]
) -> tuple[re.Pattern[str], tuple[str, ...]]:
    """The expression for whole lines, and the keys of its groups: those that are wanted.

    Raises:
        ValueError: see `check`.
    """
    check(layout)
    keys: list[str] = []
    parts: list[str] = []
    for pieces, barrier in segments(layout):
        alone = sum(isinstance(piece, Slot) for piece in pieces) == 1
        for at, piece in enumerate(pieces):
            if isinstance(piece, str):
                parts.append(re.escape(piece))
                continue
            after = pieces[at + 1] if at + 1 < len(pieces) else ""
            shape = _shape(piece, after, alone=alone, escaped=layout.escaped)
            if piece.key and piece.key not in keys and wanted(piece.key):
                keys.append(piece.key)
                parts.append(f"({shape})")
            else:
                parts.append(f"(?:{shape})")
        parts.append(re.escape(barrier))
    return re.compile("".join(parts), re.ASCII | re.DOTALL), tuple(keys)


def _shape(slot: Slot, after: Piece, *, alone: bool, escaped: bool) -> str:
    """The expression for a value, `after` which stands that."""
    if slot.kind == "fixed":
        return slot.shape
    if slot.kind == "text" or alone:
        odd = f"{slot.shape}|" if slot.shape else ""
        if after:
            return odd + (_LAZY_TEXT if escaped else ".*?")
        return odd + (_TEXT if escaped else ".*+")
    # It ends where the next literal begins: so it never has to give back.
    end = re.escape(after[0]) if isinstance(after, str) and after else ""
    return rf'[^\s"{end}]{{0,{_LONGEST_WORD}}}+'
