"""Checks the `ledger` topic: its records are the leaves, the first of each entry id, in order.

Records come in as (key, value), with heads to hold them against, and, where there is one, the
store that they were made of; a report goes out. Ids stand outside of the tree: only the store
shows that a key is right.
"""

from collections.abc import Iterable, Iterator

from evidence.verify.contents import read_leaf
from evidence.verify.notes import Trust, read_head, read_note
from evidence.verify.report import Report, What
from evidence.verify.trace import Mark, Trace
from evidence.verify.tree import Growing, leaf_hash

Record = tuple[bytes, bytes]


class TopicCheck:
    """Takes a topic's records one by one; `end` gives the report.

    heads: notes of the log's heads, by size. beside: (entry id, leaf) of each entry of the store.
    least: how many entries the topic must have; the store may be ahead of it by more.
    published: heads that stand elsewhere, by size.
    """

    def __init__(
        self,
        name: str,
        heads: Iterable[str],
        trust: Trust,
        *,
        beside: Iterable[Record] | None = None,
        least: int = 0,
        published: Iterable[Mark] | None = None,
    ) -> None:
        self._report = Report(name, "topic")
        self._trust = trust
        self._traces = [Trace(self._report, _marks(heads, trust, self._report))]
        if published is not None:
            self._traces.append(Trace(self._report, iter(published), published=True))
        self._tree = Growing()
        self._seen: dict[bytes, bytes] = {}
        self._beside = _Beside(iter(beside), least, self._report) if beside is not None else None

    def add(self, key: bytes, leaf: bytes) -> None:
        """The next record: a leaf, where its key is new; else it must say the same again."""
        hashed, name = leaf_hash(leaf), _shown(key)
        before = self._seen.setdefault(key, hashed[:16])
        if len(self._seen) == self._tree.size:
            if before != hashed[:16]:
                says = f"another record of {name} stands behind the first, and says otherwise"
                self._report.add("inserted", says, entry=name)
            return
        tree = self._tree
        if read_leaf(leaf) is None:
            says = f"entry {tree.size} ({name}) was altered: its record is no leaf"
            self._report.add("altered", says, tree.size, name)
        if self._beside is not None:
            self._beside.next(tree.size, key, leaf)
        tree.add(hashed)
        tree.byte_nodes.clear()
        for trace in self._traces:
            trace.keep(hashed)
            if trace.due == tree.size:
                trace.reached(tree)

    def end(self) -> Report:
        """There are no more records."""
        report, size = self._report, self._tree.size
        if self._beside is not None:
            self._beside.end(size)
        else:
            report.unproven.append("the ids of the entries: only a store or a bundle shows them")
        for trace in self._traces:
            trace.end(size, gaps=False)
        report.entries, report.heads = size, self._traces[0].count
        report.published = sum(trace.count for trace in self._traces[1:])
        newest = max(trace.newest for trace in self._traces)
        if size and not newest:
            report.add("missing", "no head is there: nobody has signed this log")
        elif newest < size:
            report.unproven.append(f"entries from {newest} on: no head here is over them")
        report.signed_by = [str(key) for key in self._trust.signers]
        for key, what in self._trust.strangers().items():
            report.add("unknown key", f"{what} is signed by {key}, which is not trusted")
        return report


def _marks(heads: Iterable[str], trust: Trust, report: Report) -> Iterator[Mark]:
    origin = ""
    for text in heads:
        try:
            note = read_note(text)
            head = read_head(note.text)
            what = f"the head over {head.size}"
            signers = trust.check(note, what)
        except LookupError as error:
            report.add("unknown key", f"{error.args[0]}, which is not known here")
            continue
        except ValueError as error:
            report.add("forged head", f"a head is not as it was signed: {error}")
            continue
        origin = origin or head.origin
        if head.origin != origin or not all(key.covers(origin) for key in signers):
            report.add("forged head", f"{what} is of {head.origin}, and the others of {origin}")
        else:
            yield Mark(head.size, head.root, what)


class _Beside:
    """Walks the store's entries along with the topic's, up to the first that differs."""

    def __init__(self, entries: Iterator[Record], least: int, report: Report) -> None:
        self._entries = entries
        self._least = least
        self._report = report
        self._differs: tuple[int, Record, Record] | None = None
        self._done = False

    def next(self, index: int, key: bytes, leaf: bytes) -> None:
        """The topic's entry of an index."""
        if self._done:
            return
        if self._differs is not None:
            self._explain((key, leaf), next(self._entries, None))
            return
        ours = next(self._entries, None)
        if ours is None:
            name = _shown(key)
            says = f"entry {index} ({name}) is in the topic, and the store ends before it"
            self._add("inserted", says, index, key)
        elif ours != (key, leaf):
            self._differs = index, ours, (key, leaf)

    def end(self, size: int) -> None:
        """The topic has no more."""
        if self._done:
            return
        if self._differs is not None:
            self._explain(None, next(self._entries, None))
        elif size < self._least and (ours := next(self._entries, None)) is not None:
            says = f"entry {size} ({_shown(ours[0])}) is missing: the topic ends before it"
            self._add("missing", says, size, ours[0])

    def _explain(self, theirs: Record | None, ours: Record | None) -> None:
        """With the entry behind the first that differs, on either side."""
        assert self._differs is not None  # noqa: S101  only then it is called
        index, (key, _), (found, _) = self._differs
        name, other = _shown(key), _shown(found)
        if found == key:
            says = f"entry {index} ({name}) was altered: its leaf is not the store's"
            self._add("altered", says, index, key)
        elif ours is not None and ours[0] == found and (theirs is None or theirs[0] != key):
            says = f"entry {index} ({name}) is missing: {other} follows in its place"
            self._add("missing", says, index, key)
        elif theirs is not None and theirs[0] == key and (ours is None or ours[0] != found):
            says = f"entry {index} ({other}) was inserted: the store has not got it there"
            self._add("inserted", says, index, found)
        else:
            says = f"entry {index} is {other}, and in the store {name}: moved, or its key altered"
            self._add("moved", says, index, key)

    def _add(self, what: What, says: str, index: int, key: bytes) -> None:
        self._report.add(what, says, index, _shown(key))
        self._done = True


def _shown(key: bytes) -> str:
    return key.decode(errors="backslashreplace")
