"""What shippers say of a line: where it comes from, and which it is.

Documents of bulk calls and lines as they are come in, parcels go out. The document itself is the
line: whether a line stands in its `message` is told where formats are read, line by line. It MUST
NOT change a document's bytes, nor refuse one for what is in it.
"""

import re
from collections.abc import Iterable
from typing import Any, Final

import orjson

from records.ids import digest
from streams.listen.bulk import Item
from streams.listen.inbox import Parcel, identity

_TEXTS: Final = ("message", "log")
_READ_ANEW: Final = frozenset({"@timestamp", "agent", "event"})
"""What a shipper that was killed writes otherwise when it reads a file again."""
_MARKS: Final = ("device_id", "inode", "fingerprint")
_MAX_NAME: Final = 200
_POD: Final = re.compile(r"/[^/_]+_([^/_]+)_([^/]+)-[0-9a-f]{64}\.log$")
"""Of /var/log/containers: the namespace and the container."""
_NUMBER: Final = re.compile(r"[0-9a-f]{32,64}+")
_DATED: Final = re.compile(r"(?:[-_.]\d{4}(?:[-_.]\d\d){1,2}|[-_.]\d{8})?(?:-\d{6})?$")
"""What an index is called besides, when there is one for each day."""


class Sorting:
    """Gathers lines by their source."""

    def __init__(self) -> None:
        self._lines: dict[tuple[str, str], list[bytes]] = {}
        self._identities: dict[tuple[str, str], list[bytes]] = {}
        self.unnamed = 0
        """Lines that cannot be told from equal ones."""

    def add(self, where: tuple[str, str], line: bytes, name: bytes) -> None:
        """One line of a source, by (what it is read by, file), and its identity or b""."""
        self._lines.setdefault(where, []).append(line)
        self._identities.setdefault(where, []).append(name)
        if not name:
            self.unnamed += 1

    def parcels(self) -> list[Parcel]:
        """All of them."""
        return [
            Parcel(digest("http", *where, length=16), _name(where), lines, self._identities[where])
            for where, lines in self._lines.items()
        ]


def _name(where: tuple[str, str]) -> str:
    return ":".join(part for part in where if part)[:_MAX_NAME] or "http"


def of_bulk(items: Iterable[Item]) -> Sorting:
    """The documents of a bulk call; items that add none are left out."""
    sorting = Sorting()
    for item in items:
        line = item.document
        if not line:
            continue
        document = _object(line)
        host, path = _source(document)
        name = identity("id", item.goal, item.id, line) if item.id else _by_place(document, line)
        sorting.add((host or _DATED.sub("", item.goal), path), line, name)
    return sorting


def of_lines(lines: Iterable[bytes], source: str) -> Sorting:
    """Lines of any format, from whoever calls itself `source`."""
    sorting = Sorting()
    for whole in lines:
        line = whole.removesuffix(b"\r")
        if not line or line.isspace():
            continue
        document = _object(line) if line[:1] == b"{" else {}
        host, path = _source(document)
        sorting.add((host or source, path), line, _by_place(document, line))
    return sorting


def of_array(body: bytes, source: str) -> Sorting | None:
    """As `of_lines`, of one JSON array; None if the body is none."""
    try:
        values = orjson.loads(body)
    except ValueError:
        return None
    if not isinstance(values, list):
        return None
    # Line breaks within a text would make two lines of it.
    texts = (
        value.replace("\n", " ").encode("utf-8", "surrogatepass")
        if isinstance(value, str)
        else orjson.dumps(value)
        for value in values
    )
    return of_lines(texts, source)


def _object(line: bytes) -> dict[str, Any]:
    try:
        document = orjson.loads(line)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def _source(document: dict[str, Any]) -> tuple[str, str]:
    """(host or agent, file or container) that a document comes from; "" for what it does not say.

    Only names that no access record has: a record's `host` and `path` are the client's. What has a
    number of its own with each start is left out: the same program goes on writing.
    """
    kubernetes = document.get("kubernetes")
    if isinstance(kubernetes, dict):
        container = _text(kubernetes, "container_name") or _text(
            kubernetes.get("container"), "name"
        )
        if container:
            space = _text(kubernetes, "namespace_name") or _text(kubernetes, "namespace")
            return f"kubernetes {space}", container
    who, path = _file(document)
    if (pod := _POD.search(path)) is not None:
        return f"kubernetes {pod[1]}", pod[2]
    if path:
        return who, _NUMBER.sub("*", path)
    if document.get("source_type") == "file":
        return _text(document, "host"), _text(document, "file")
    return "", ""


def _file(document: dict[str, Any]) -> tuple[str, str]:
    """(agent or host, path) as ECS has it; "" for what it does not say."""
    log = document.get("log")
    path = _text(log.get("file"), "path") if isinstance(log, dict) else ""
    if not path:
        return "", ""
    agent = document.get("agent")
    return _text(agent, "id") or _text(agent, "name") or _text(document.get("host"), "name"), path


def _by_place(document: dict[str, Any], line: bytes) -> bytes:
    """The identity of a line whose shipper says where in its file it stands; else b"".

    The line is a part of it: a file that begins anew under its old name has other lines at the same
    places. Where the file is marked too, what a shipper adds with each reading is left out.
    """
    log = document.get("log")
    if not isinstance(log, dict) or not isinstance(log.get("offset"), int):
        return b""
    host, path = _file(document)
    if not path:
        return b""
    file = log["file"]
    marks = [f"{file[mark]}" for mark in _MARKS if file.get(mark)]
    content: bytes | str = next(filter(None, (_text(document, name) for name in _TEXTS)), line)
    if content is line and marks:
        rest = {name: value for name, value in document.items() if name not in _READ_ANEW}
        content = orjson.dumps(rest)
    return identity("place", host, path, log["offset"], *marks, content)


def _text(holder: Any, name: str) -> str:
    value = holder.get(name) if isinstance(holder, dict) else None
    return value if isinstance(value, str) else ""
