"""IIS and HTTP.sys (W3C extended), and CloudFront, which writes the same with tabs.

A line in, `Parsed` out. `#Fields:` says what stands in the lines below it: the parser keeps the
last one, and `memory` is its text, for whoever goes on in the middle of a file. Where lines have no
date, `#Date:` says on which day they begin, and the clock when the next does. Without `#Fields:`
a line is taken only if all of it has the shape of a server's default fields. What IIS logs so of
FTP and mail is `not_http`, be it known by what only such lines hold. What clients write
holds no separator (IIS writes "+" for a space, CloudFront %20): no field can be forged, but a "+"
may have been either. Every expression MUST stay linear in the line.
"""

import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import lru_cache
from urllib.parse import unquote

from intake.formats._base import clean, decode, split_url, unreadable
from intake.formats._names import path_of
from intake.formats._record import Plan, RecordReader
from intake.formats._values import status_of
from intake.line import Parsed, Unreadable
from intake.settings import IntakeSettings
from intake.times import parse_time

_DIRECTIVE = re.compile(
    r"#(Fields|Software|Version|Date|Start-Date|End-Date|Remark): ?(.*+)", re.DOTALL
)
_LONGEST_FIELDS = 4096
_HEADER = re.compile(r"(cs|sc|rs)\(([^()]+)\)")
_NAMES = (
    ("xhostheader", "host"),
    ("cshost", "host"),
    ("xedgerequestid", "request_id"),
)
_REFUSED = frozenset(
    """
    403.6 403.8 403.501 403.502 403.503 404.5 404.6 404.7 404.8 404.10 404.11 404.12 404.13 404.14
    404.15 404.18 404.19 404.20
    """.split()
)
"""What address restrictions and request filtering answer, before any application."""

_IIS = """
    date time s-ip cs-method cs-uri-stem cs-uri-query s-port cs-username c-ip
    cs(User-Agent) cs(Referer) sc-status sc-substatus sc-win32-status time-taken
"""
_CLOUDFRONT = """
    date time x-edge-location sc-bytes c-ip cs-method cs(Host) cs-uri-stem sc-status cs(Referer)
    cs(User-Agent) cs-uri-query cs(Cookie) x-edge-result-type x-edge-request-id x-host-header
    cs-protocol cs-bytes time-taken x-forwarded-for ssl-protocol ssl-cipher
    x-edge-response-result-type cs-protocol-version fle-status fle-encrypted-fields c-port
    time-to-first-byte x-edge-detailed-result-type sc-content-type sc-content-len sc-range-start
    sc-range-end
"""
_SIZES = "sc-status sc-substatus sc-win32-status sc-bytes cs-bytes time-taken"
_AZURE = f"""
    date time s-sitename cs-method cs-uri-stem cs-uri-query s-port cs-username c-ip
    cs(User-Agent) cs(Cookie) cs(Referer) cs-host {_SIZES}
"""
_EVERY = f"""
    date time s-sitename s-computername s-ip cs-method cs-uri-stem cs-uri-query s-port cs-username
    c-ip cs-version cs(User-Agent) cs(Cookie) cs(Referer) cs-host {_SIZES}
"""
_DAY = r"\d{4}-\d\d-\d\d"
_CLOCK = r"\d\d:\d\d:\d\d"
_ADDRESS = r"(?:[0-9.]{7,15}|[0-9A-Fa-f.]*:[0-9A-Fa-f:.]*(?:%\w{1,20})?)"
_REQUEST = rf"[A-Z_]{{3,20}} /\S*+ \S++ \d{{1,5}} \S++ {_ADDRESS}"
_ASKED = rf"{_DAY} {_CLOCK} {_ADDRESS} {_REQUEST}"
_ANSWERED = r"\d{3} \d{1,4} \d{1,10} \d{1,10}"
_SIZED = r"\d{3} \d{1,4} \d{1,10} \d{1,19} \d{1,19} \d{1,10}"
_HOP = r"\[?(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9A-Fa-f.]*+:[0-9A-Fa-f:.]*+)\]?(?::\d{1,5})?"
_CHAIN = rf"( (?:-|{_HOP}(?:,\+?{_HOP}){{0,30}}))?"
_DEFAULTS = (
    (re.compile(rf"{_ASKED} \S++ \S++ {_ANSWERED}{_CHAIN}", re.ASCII), _IIS),
    (
        re.compile(rf"{_ASKED} \S++ {_ANSWERED}{_CHAIN}", re.ASCII),
        _IIS.replace("cs(Referer)", ""),
    ),
    (
        re.compile(
            rf"{_DAY} {_CLOCK} \S++ {_REQUEST} \S++ \S++ \S++ \S++ {_SIZED}{_CHAIN}", re.ASCII
        ),
        _AZURE,
    ),
    (
        re.compile(
            rf"{_DAY} {_CLOCK} \S++ \S++ {_ADDRESS} {_REQUEST} (?:HTTP/\S++|-) \S++ \S++ \S++"
            rf" \S++ {_SIZED}{_CHAIN}",
            re.ASCII,
        ),
        _EVERY,
    ),
    (
        re.compile(
            rf"{_DAY}\t{_CLOCK}\t[A-Z]{{3}}\S*+\t\d++\t{_ADDRESS}\t[A-Z]{{3,20}}\t\S++\t/\S*+\t"
            r"\d{3}(?:\t\S++){24}",
            re.ASCII,
        ),
        _CLOUDFRONT,
    ),
)
"""Shape of a line, and the fields that it then has; where a group matches, X-Forwarded-For behind.

IIS 8 and later, IIS 7, Azure App Service, all that IIS has, CloudFront.
"""
_OTHER_SITE = re.compile(r"(?:SMTP|NNTP|MSFTP|FTP)SVC\d*+")
_FTP_FIELDS = frozenset({"x-session", "x-fullpath"})

_HOUR_MS = 3_600_000
_DAY_MS = 24 * _HOUR_MS
_Change = Callable[[str], str]
_SPACED: dict[str, _Change] = {
    "useragent": lambda text: text.replace("+", " "),
    "xforwardedfor": lambda text: text.replace("+", " "),
    "forwarded": lambda text: text.replace("+", " "),
    "cookie": lambda text: text.replace(";+", "; "),
    "authorization": lambda text: text.replace("+", " ", 1),
}
"""Headers in which IIS's "+" was a space, and where."""
_LONGEST_REMEMBERED = 512


def _unquoted(text: str) -> str:
    return _remembered(text) if len(text) <= _LONGEST_REMEMBERED else unquote(text)


_remembered = lru_cache(maxsize=4096)(unquote)


def _default_fields(line: str) -> str:
    """The fields of a line that has the shape of some server's default; "" if it has not."""
    for shape, names in _DEFAULTS:
        if match := shape.fullmatch(line):
            return f"{names} X-Forwarded-For" if match.lastindex else names
    return ""


def _time_of(day: str, clock: str) -> int:
    # Written out like this, a second is remembered.
    return parse_time(f"{day}T{clock}.000Z" if len(clock) == 8 else f"{day}T{clock}Z")


class _Layout:
    """Where the parts of a line stand; -1 for those that do not."""

    __slots__ = (
        "body", "day", "is_ftp", "length", "method", "others", "peer", "plan", "query", "sent",
        "site", "status", "stem", "substatus", "time",
    )  # fmt: skip

    def __init__(
        self, reader: RecordReader, named: set[str], fields: list[str], *, tabs: bool
    ) -> None:
        """`named`: the paths that the settings name."""
        at = {name.lower(): at for at, name in reversed([*enumerate(fields)])}
        self.length = len(fields)
        self.is_ftp = not _FTP_FIELDS.isdisjoint(at)
        self.site = at.get("s-sitename", -1)
        self.day = at.get("date", -1)
        self.time = at.get("time", -1)
        self.peer = at.get("c-ip", -1)
        self.method = at.get("cs-method", -1)
        self.stem = at.get("cs-uri-stem", at.get("cs-uri", -1))
        self.query = at.get("cs-uri-query", -1)
        self.status = at.get("sc-status", -1)
        self.substatus = at.get("sc-substatus", -1)
        self.sent = at.get("sc-bytes", -1)
        self.body = at.get("sc-content-len", -1)
        names: dict[str, tuple[int, _Change]] = {}
        for place, field in enumerate(fields):
            header = _HEADER.fullmatch(field)
            name = field
            if header and path_of(field) not in named:
                name = f"{'sent_' if header[1] == 'sc' else ''}http_{header[2]}"
            plain = path_of(header[2] if header else field)
            names.setdefault(name, (place, _unquoted if tabs else _SPACED.get(plain, str)))
        self.plan: Plan = reader.plan([("", 0, tuple(names))], [])
        used = {name for _, _, name in (*self.plan.texts, *self.plan.extra)}
        self.others = [(name, *found) for name, found in names.items() if name in used]


class Lines:
    """Reads the lines of one source. `memory` MUST be kept with the source's position."""

    def __init__(self, settings: IntakeSettings) -> None:
        self._reader = RecordReader(settings, _NAMES, wrappers=False)
        self._named = {path_of(path) for path in settings.fields.model_dump().values() if path}
        self._fields = ""
        self._latest_ms = 0
        """What `#Date:` said, or a later line; 0 before any."""
        self._layouts: dict[tuple[str, bool], _Layout] = {}

    @property
    def memory(self) -> str:
        """What the last `#Fields:` named, "" before any; and where no date is, the latest time."""
        if self._latest_ms and "date" not in self._fields.lower().split():
            return f"{self._fields}\n{self._latest_ms}"
        return self._fields

    @memory.setter
    def memory(self, text: str) -> None:
        self._fields, _, latest = text.partition("\n")
        self._latest_ms = int(latest) if latest.isdecimal() else 0
        self._layouts.clear()

    def __call__(self, line: bytes) -> Parsed:
        """See `Format.parser`."""
        text = decode(clean(line))
        if text[:1] == "#" and (directive := _DIRECTIVE.fullmatch(text)):
            self._direct(directive[1], directive[2])
            raise Unreadable("directive")
        fields = self._fields or _default_fields(text)
        tabs = "\t" in text.partition(" ")[0]
        columns = text.split("\t" if tabs else " ")
        if (layout := self._layouts.get((fields, tabs))) is None:
            layout = _Layout(self._reader, self._named, fields.split(), tabs=tabs)
            self._layouts[fields, tabs] = layout
        if len(columns) != layout.length:
            raise unreadable(line, "not_this_format")
        return self._read(layout, columns)

    def _direct(self, name: str, said: str) -> None:
        if name == "Fields" and len(said) <= _LONGEST_FIELDS:
            self._fields = said
            self._layouts.clear()
        elif name == "Date":
            with suppress(Unreadable):
                self._latest_ms = parse_time(f"{said.strip().replace(' ', 'T')}Z")

    def _time(self, clock: str) -> int:
        """When a line of this clock was written: within the day that follows the latest one."""
        latest_ms = self._latest_ms
        if not latest_ms:
            raise Unreadable("no_time")
        midnight_ms = latest_ms - latest_ms % _DAY_MS
        time_ms = midnight_ms + parse_time(f"2000-01-01T{clock}Z") % _DAY_MS
        # A line may come a little late.
        if time_ms < latest_ms - _HOUR_MS:
            time_ms += _DAY_MS
        elif time_ms > latest_ms + _DAY_MS - _HOUR_MS:
            time_ms -= _DAY_MS
        self._latest_ms = max(latest_ms, time_ms)
        return time_ms

    def _read(self, layout: _Layout, columns: list[str]) -> Parsed:
        if layout.stem < 0:
            raise Unreadable("no_request")
        if layout.time < 0:
            raise Unreadable("no_time")
        clock = columns[layout.time]
        target, host = split_url(columns[layout.stem])
        if target == "-":
            target = ""
        query = columns[layout.query] if layout.query >= 0 else "-"
        method = columns[layout.method] if layout.method >= 0 else "-"
        # No HTTP method begins so; the old FTP service writes the session's number there.
        if (
            layout.is_ftp
            or method[:1] == "["
            or (layout.site >= 0 and _OTHER_SITE.fullmatch(columns[layout.site]))
        ):
            raise Unreadable("not_http")
        status = columns[layout.status] if layout.status >= 0 else "-"
        peer = columns[layout.peer] if layout.peer >= 0 else "-"
        parsed = Parsed(
            self._time(clock) if layout.day < 0 else _time_of(columns[layout.day], clock),
            "" if peer == "-" else peer,
            "" if method == "-" else method.upper(),
            f"{target}?{query}" if query not in {"-", ""} else target,
            0 if status == "-" else status_of(status),
            # Bytes sent count the header too: only 0 says anything of the body.
            0 if layout.sent >= 0 and columns[layout.sent] == "0" else -1,
        )
        if layout.body >= 0 and columns[layout.body].isdecimal():
            parsed.bytes = int(columns[layout.body][:19])
        if layout.substatus >= 0:
            detail = f"{status}.{columns[layout.substatus]}"
            if detail in _REFUSED:
                parsed.blocked_by = detail
        record = {name: change(columns[at]) for name, at, change in layout.others}
        self._reader.fill(parsed, layout.plan, [record])
        if host is not None:
            parsed.host = host
        return parsed


class Iis:
    """The format of W3C extended logs."""

    name = "iis"
    examples = (
        (
            b"2026-11-22 10:00:00 192.0.2.10 GET /api/users/17 full=1 443 SHOP\\ann 203.0.113.7"
            b" okhttp/4.12.0 https://app.example.com/ 200 0 0 15"
        ),
    )

    def sniff(self, lines: Sequence[bytes]) -> float:
        """The share that is understood; directives count if they are of such a log."""
        parse = Lines(IntakeSettings())
        events = directives = 0
        for line in lines:
            try:
                parse(line)
                events += 1
            except Unreadable as why:
                directives += why.reason == "directive"
        if not events and not {"time", "cs-method"} <= set(parse.memory.split()):
            return 0.0
        return (events + directives) / len(lines)

    def parser(self, settings: IntakeSettings) -> Lines:
        """See `Format.parser`; what it gives has a `memory`."""
        return Lines(settings)


FORMAT = Iis()
