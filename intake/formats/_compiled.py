"""A compiled format string: lines of one layout become what the names in them mean.

A `Layout` and settings in, a function from a line's text to its `Parsed` out. What a variable
means is decided by the table that JSON records use (`_names.py`), so that identity headers,
internal headers and `fields` work alike. It MUST raise nothing but `Unreadable` once it is made.
"""

from collections.abc import Callable, Mapping, Sequence

from intake.formats._apache_layout import TIME
from intake.formats._base import Parser, clean, decode, unescape
from intake.formats._layout import Layout, Slot, pattern
from intake.formats._names import Names, header_paths, known_names, path_of, session_cookie
from intake.formats._record import RecordReader
from intake.line import Parsed
from intake.settings import IntakeSettings

Reading = Callable[[str], Parsed | None]
"""The line that a text stands for; None if it is not written in this layout."""

_SPECIAL = (
    ("msec", "time_ms"),
    ("timeparts", "time_ms"),
    ("documenturi", "uri"),
)
_PEERS = ("the_real_ip", "proxy_protocol_addr", "realip_remote_addr")
_CHAIN = "proxy_add_x_forwarded_for"
_CLIENTS = frozenset({"forwarded", "forwarded_elements", "client", "hop"})
_NUMBERS = frozenset({"status", "response_status", "body_bytes_sent", "bytes", "bytes_sent"})
_HEADER, _COOKIE = "http_", "cookie_"
_MONTHS = {
    name: f"{number:02}"
    for number, name in enumerate(
        ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"), 1
    )
}


def compiled(layout: Layout, settings: IntakeSettings, *, no_size: int = -1) -> Reading:
    """What reads the lines of a layout; `no_size` is what "-" for the size of the body means.

    Raises:
        ValueError: the layout names no client, or lets a client forge fields.
    """
    columns, settings = _columns(layout, settings)
    special = [*_SPECIAL]
    special += [(path_of(it), "session") for it in columns.values() if _names_session(it)]
    _find_peer(layout, columns, known_names(settings, special), needed=settings.join is None)
    expression, keys = pattern(layout, columns.__contains__)
    fullmatch = expression.fullmatch
    names = [columns[key] for key in keys]
    numbers = [at for at, key in enumerate(keys) if key in _NUMBERS]
    user = keys.index("remote_user") if "remote_user" in keys else -1
    chain = keys.index(_CHAIN) if _CHAIN in keys and "remote_addr" not in names else -1
    parts = any(key.startswith(TIME) for key in keys)
    unsized = no_size if "body_bytes_sent" in keys else -1
    read = RecordReader(settings, special, wrappers=False).read
    escaped = layout.escaped

    def reading(text: str) -> Parsed | None:
        if (match := fullmatch(text)) is None:
            return None
        values = match.groups()
        if escaped and "\\" in text:
            values = tuple([unescape(value) for value in values])
        if text[-1:].isspace():
            values = (*values[:-1], values[-1].rstrip())
        record: dict[str, str | int] = dict(zip(names, values, strict=True))
        for at in numbers:
            if (value := values[at]).isdigit():
                record[names[at]] = int(value)
        if user >= 0 and values[user] == '""':
            record[names[user]] = ""
        if chain >= 0:
            # The last is the peer, which the server itself appended.
            record[names[chain]], _, record["remote_addr"] = values[chain].rpartition(", ")
        if parts:
            record["time_parts"] = _time(dict(zip(keys, values, strict=True)))
        parsed = read(record)
        if parsed.bytes < 0:
            parsed.bytes = unsized
        return parsed

    return reading


def first_of(readings: Sequence[Reading], otherwise: Parser) -> Parser:
    """Reads a line in the first layout that it is written in, else as `otherwise` does."""

    def parse(line: bytes) -> Parsed:
        text = decode(cleaned := clean(line))
        # White space at the end may belong to a value that was empty.
        raw = text if cleaned == line else decode(line.rstrip(b"\r\n"))
        for reading in readings:
            parsed = reading(text)
            if parsed is None and raw is not text:
                parsed = reading(raw)
            if parsed is not None:
                return parsed
        return otherwise(line)

    return parse if readings else otherwise


def _columns(layout: Layout, settings: IntakeSettings) -> tuple[dict[str, str], IntakeSettings]:
    """The name in a record of each slot's key; and the settings without fields of other logs.

    A field that this layout lacks must not be looked for: its absence would mean an anonymous
    request, or no time.
    """
    configured = {
        path_of(path): field
        for field, path in settings.fields.model_dump().items()
        if path is not None
    }
    columns: dict[str, str] = {}
    ours: dict[str, str] = {}
    for slot in layout.pieces:
        if not isinstance(slot, Slot) or not slot.key:
            continue
        key = slot.key
        found = next((path for path in _paths(key) if path in configured), None)
        if found is not None:
            ours[configured[found]] = columns[key] = found
        elif key.startswith(_HEADER):
            columns[key] = f"headers.{key.removeprefix(_HEADER)}"
        elif key.startswith(_COOKIE):
            columns[key] = f"cookies.{key.removeprefix(_COOKIE)}"
        else:
            columns[key] = key
    fields = settings.fields.model_copy(
        update={name: ours.get(name) for name in type(settings.fields).model_fields}
    )
    return columns, settings.model_copy(update={"fields": fields})


def _paths(key: str) -> list[str]:
    """The normal paths by which people may name a variable in the settings."""
    plain = path_of(key)
    if key.startswith(_HEADER):
        return [plain, *header_paths(key.removeprefix(_HEADER))]
    if key.startswith(_COOKIE):
        return [plain, path_of(f"cookies.{key.removeprefix(_COOKIE)}")]
    return [plain]


def _names_session(column: str) -> bool:
    name = column.removeprefix("cookies.")
    return name != column and session_cookie(f"{name}=x") is not None


def _find_peer(layout: Layout, columns: dict[str, str], names: Names, *, needed: bool) -> None:
    """See to it that a column names a client, if that is needed; drop those that mean nothing."""
    fields = {
        key: {field for field, _ in names.get(path_of(column), ())}
        for key, column in columns.items()
    }
    said = {field for found in fields.values() for field in found}
    if "peer" not in said:
        # Only what stands behind a proxy's own protocol or the realip module is logged.
        other = next((key for key in _PEERS if key in columns), None)
        if other is not None:
            columns[other] = "remote_addr"
            fields[other] = {"peer"}
        elif needed and not said & _CLIENTS:
            raise ValueError(
                f"log format {layout.source!r} has no client address: log $remote_addr (nginx) or "
                "%a (Apache) too"
            )
    for key, found in fields.items():
        if not found and not key.startswith(TIME):
            del columns[key]


def _time(values: Mapping[str, str]) -> str:
    """A time put together from its parts, as ISO 8601 or seconds since 1970."""
    said = {key.removeprefix(TIME): value for key, value in values.items() if TIME in key}
    fraction = said.get("fraction", "")
    if (epoch := said.get("epoch") or said.get("s")) is not None:
        return f"{epoch}.{fraction}" if fraction else epoch
    month = said.get("m") or _MONTHS.get(said["b"].lower(), "00")
    day = (said.get("d") or said["e"]).strip().zfill(2)
    clock = f"{said['H']}:{said['M']}:{said['S']}" + (f".{fraction}" if fraction else "")
    return f"{said['Y']}-{month}-{day}T{clock}{said.get('z', '')}"
