r"""Apache's `LogFormat`, bare, by its nickname or as its configuration writes it, as a `Layout`.

Text in, pieces out. Apache escapes quotes and control characters in all that a client writes
(\", \t, \xhh). Times of one's own (`%{%d/%b/%Y %T}t`) become slots for their parts.
"""

import re

from intake.formats._layout import Layout, Piece, Slot, check
from intake.formats._nginx_layout import ADDRESS, CLF_TIME, NUMBER, STATUS

NICKNAMES = {
    "common": '%h %l %u %t "%r" %>s %b',
    "combined": '%h %l %u %t "%r" %>s %b "%{Referer}i" "%{User-Agent}i"',
    "combinedio": '%h %l %u %t "%r" %>s %b "%{Referer}i" "%{User-Agent}i" %I %O',
    "vhost_common": '%v %h %l %u %t "%r" %>s %b',
    "vhost_combined": '%v:%p %h %l %u %t "%r" %>s %O "%{Referer}i" "%{User-Agent}i"',
}
"""Formats that Apache's documentation and Debian's configuration name so."""

_WORD = r"[^\s\"\[\]]{1,255}"
_HOST = r"[^\s\"\[\]:/]{1,255}"
_DIGITS = r"(?:\d{1,20}+|-)"
# Directive -> (key, shape); the names are those that the names table knows.
_FIXED = {
    "a": ("remote_addr", ADDRESS),
    "h": ("remote_host", _WORD),
    "A": ("", ADDRESS),
    "l": ("", r"[^\s\"\[\]]{1,64}"),
    "s": ("status", STATUS),
    "b": ("body_bytes_sent", NUMBER),
    "B": ("bytes", NUMBER),
    "O": ("bytes_sent", NUMBER),
    "m": ("request_method", r"[^\s\"]{1,64}"),
    "H": ("", r"(?:HTTP/\d(?:\.\d)?|-|)"),
    "v": ("server_name", _HOST),
    "V": ("host", _HOST),
    "L": ("", r"[\w@+/-]{1,64}"),
    "R": ("", _WORD),
    "X": ("", r"[X+-]"),
    "P": ("", r"[0-9a-f]{1,20}"),
    # Oracle HTTP Server's id of what a request sets going; WebLogic logs it too.
    "E": ("request_id", r"[\w.:;+/-]{1,128}"),
    # Tomcat writes a thread's name and a session for the numbers that Apache has here.
    "I": ("", _WORD),
    "S": ("", _WORD),
    "T": ("", r"[0-9.]{1,20}"),
    **dict.fromkeys(["D", "p", "k"], ("", _DIGITS)),
}
_TEXTS = {"r": "request", "u": "remote_user", "U": "uri", "q": "query", "f": "", "i": "", "o": ""}
_STRFTIME = {
    "d": r"\d\d", "e": r"[ \d]\d", "m": r"\d\d", "b": r"[A-Za-z]{3}", "Y": r"\d{4}",
    "H": r"\d\d", "M": r"\d\d", "S": r"\d\d", "z": r"[+-]\d{4}", "s": r"\d{9,11}",
    "a": r"[A-Za-z]{3}", "Z": r"[A-Z]{1,5}", "j": r"\d{3}",
}  # fmt: skip
_SPELLED = {"T": "%H:%M:%S", "R": "%H:%M", "F": "%Y-%m-%d", "D": "%m/%d/%y", "h": "%b"}
_TOKENS = {
    "sec": ("epoch", r"\d{9,11}"), "msec": ("epoch", r"\d{12,14}"),
    "usec": ("epoch", r"\d{15,17}"), "msec_frac": ("fraction", r"\d{3}"),
    "usec_frac": ("fraction", r"\d{6}"),
}  # fmt: skip
TIME = "time:"
"""Begins the keys of a time's parts: its strftime letters, `epoch` and `fraction`."""

_LINE = re.compile(r'\s*(?:LogFormat|CustomLog\s++\S++)\s++"((?:[^"\\]|\\.)*+)"(?:\s.*+)?')
_DIRECTIVE = re.compile(r"%(?:!?[\d,]+)?[<>]?(?:\{([^}]*)\})?(?:[<>])?(\^ti|\^to|[A-Za-z%])")
_ESCAPES = {'\\"': '"', "\\\\": "\\", "\\t": "\t", "\\n": "\n"}


def apache_layout(text: str) -> Layout:
    """The layout of a `LogFormat`: its string, a nickname, or the whole directive.

    Raises:
        ValueError: it cannot be read, says no time or no request, or lets a client forge fields.
    """
    body = NICKNAMES.get(text.strip(), text)
    if line := _LINE.fullmatch(body):
        body = line[1]
    elif len(body) > 1 and body[0] == body[-1] == '"' and not re.search(r'[^\\]"', body[1:-1]):
        body = body[1:-1]
    body = re.sub(r'\\["\\tn]', lambda match: _ESCAPES[match[0]], body)
    pieces: list[Piece] = []
    at = 0
    while (start := body.find("%", at)) >= 0:
        match = _DIRECTIVE.match(body, start)
        if match is None:
            raise ValueError(f"log format {text!r}: {body[start : start + 8]!r} is no directive")
        pieces.append(body[at:start])
        pieces += _pieces(match[0], match[1], match[2], text)
        at = match.end()
    pieces.append(body[at:])
    layout = Layout(text, tuple(_one_target([p for p in pieces if p])))
    keys = {piece.key for piece in layout.pieces if isinstance(piece, Slot)}
    parts = {key.removeprefix(TIME) for key in keys if key.startswith(TIME)}
    dated = parts >= {"Y", "H", "M", "S"} and parts & {"b", "m"} and parts & {"d", "e"}
    if not (dated or parts & {"epoch", "s"} or "time_local" in keys):
        raise ValueError(f"log format {text!r} has no time: log %t too")
    if not keys & {"request", "uri"}:
        raise ValueError(f"log format {text!r} has no request: log %r or %U%q too")
    check(layout)
    return layout


def _pieces(label: str, argument: str | None, letter: str, text: str) -> list[Piece]:
    """What one directive writes."""
    if letter == "%":
        return ["%"]
    if letter == "t":
        return _time(label, argument, text) if argument else ["[", _fixed_time(label), "]"]
    if argument is not None:
        return [_with_argument(label, argument, letter)]
    if letter == "s" and ">" not in label:
        # Of a request that was redirected internally, it is the first status, not the answer's.
        return [Slot(label, "response_status", "fixed", STATUS)]
    if letter == "u":
        return [Slot(label, "remote_user", "text", '""')]
    if (fixed := _FIXED.get(letter)) is not None:
        return [Slot(label, fixed[0], "fixed", fixed[1])]
    return [Slot(label, _TEXTS.get(letter, ""), "text" if letter in _TEXTS else "unknown")]


def _fixed_time(label: str) -> Slot:
    return Slot(label, "time_local", "fixed", CLF_TIME)


def _with_argument(label: str, argument: str, letter: str) -> Slot:
    if letter == "i":
        return Slot(label, f"http_{argument}", "text")
    if letter == "o":
        return Slot(label, f"sent_http_{argument}", "text")
    if letter == "C":
        return Slot(label, f"cookie_{argument}", "text")
    if letter in {"^ti", "^to"}:
        return Slot(label, "", "text")
    if letter == "a":
        if argument in {"local", "server"}:
            return Slot(label, "", "fixed", ADDRESS)
        # %{c}a is the peer, which mod_remoteip has replaced in %a by the client.
        return Slot(label, "realip_remote_addr" if argument == "c" else "remote_addr", "fixed",
                    ADDRESS)  # fmt: skip
    if letter == "e" and argument == "UNIQUE_ID":
        return Slot(label, "request_id", "fixed", r"[\w@+/-]{1,64}")
    if (fixed := _FIXED.get(letter)) is not None:
        return Slot(label, fixed[0], "fixed", fixed[1])
    return Slot(label, argument, "unknown")


def _time(label: str, argument: str, text: str) -> list[Piece]:
    """The slots of a time in a format of one's own."""
    form = argument.removeprefix("begin:").removeprefix("end:")
    if (token := _TOKENS.get(form)) is not None:
        return [Slot(label, TIME + token[0], "fixed", token[1])]
    form = re.sub(r"%([A-Za-z])", lambda match: _SPELLED.get(match[1], match[0]), form)
    pieces: list[Piece] = []
    at = 0
    for match in re.finditer(r"%(.)", form):
        shape = _STRFTIME.get(match[1])
        if shape is None and match[1] != "%":
            raise ValueError(
                f"log format {text!r}: {match[0]} in {label} cannot be read; log %t instead"
            )
        pieces.append(form[at : match.start()])
        pieces.append("%" if shape is None else Slot(label, TIME + match[1], "fixed", shape))
        at = match.end()
    return [*pieces, form[at:]]


def _one_target(pieces: list[Piece]) -> list[Piece]:
    """A path and the query that stands right after it are one target."""
    found: list[Piece] = []
    for piece in pieces:
        before = found[-1] if found else ""
        if (
            isinstance(piece, Slot)
            and isinstance(before, Slot)
            and (before.key, piece.key) == ("uri", "query")
        ):
            found[-1] = before._replace(label=before.label + piece.label)
        else:
            found.append(piece)
    return found
