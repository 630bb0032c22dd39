"""nginx's `log_format`, bare or as its configuration writes it, as a `Layout`.

Text in, pieces out: which variables only nginx itself writes, and in what shape; which hold what a
client wrote. A variable that is not listed may come of a `map` or a module: nobody here knows.
"""

import re

from intake.formats._layout import Layout, Piece, Slot, check

ADDRESS = r"(?:[0-9A-Fa-f.:]{2,45}(?:%\w{1,16})?|unix:[^\s\"]{0,108}|-)"
CLF_TIME = r"\d{1,2}/\w{3}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}"
STATUS = r"(?:\d{3}|-)"
NUMBER = r"(?:\d{1,20}+|-)"
PROTOCOL = r"(?:HTTP/\d(?:\.\d)?|-|)"
DECIMAL = r"(?:[0-9.]{1,24}+|-|)"
# Lists end as early as they can: what a client writes after one must not become a part of it.
_ITEM = r"(?:\[[0-9A-Fa-f:.]{2,45}\](?::\d{1,5})?|[\w./-][\w.:/@%+-]{0,127}+)"
_LIST = rf"(?:{_ITEM}(?:(?:, | : ){_ITEM}){{0,31}}?|)"
_STATUSES = rf"(?:{STATUS}(?:(?:, | : ){STATUS}){{0,31}}?|)"
_ISO_TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:Z|[+-]\d\d:\d\d)"
_WORD = r"[^\s\"\[\]|,;]{0,255}+"

_SHAPES = {
    ADDRESS: """remote_addr realip_remote_addr proxy_protocol_addr server_addr the_real_ip
        proxy_protocol_server_addr""",
    CLF_TIME: "time_local",
    _ISO_TIME: "time_iso8601",
    r"\d{1,12}\.\d{3}": "msec",
    STATUS: "status",
    r"[A-Z_-]{1,64}+": "request_method",
    PROTOCOL: "server_protocol",
    r"(?:[0-9a-f]{32}|-|)": "request_id",
    r"\??": "is_args",
    r"[.p]": "pipe",
    r"(?:https?|-|)": "scheme",
    r"(?:on|off|-|)": "https",
    NUMBER: """body_bytes_sent bytes_sent request_length connection connection_requests pid
        remote_port server_port realip_remote_port proxy_protocol_port content_length
        proxy_protocol_server_port""",
    DECIMAL: "request_time gzip_ratio connection_time",
    # What nginx takes for a host holds no white space and no slash.
    r"[^\s\"/\[\]]{0,255}": "host",
    _STATUSES: "upstream_status",
    _LIST: """upstream_addr upstream_response_time upstream_response_length upstream_connect_time
        upstream_header_time upstream_queue_time upstream_first_byte_time upstream_session_time
        upstream_bytes_received upstream_bytes_sent""",
    _WORD: """server_name hostname proxy_host proxy_port nginx_version upstream_cache_status
        proxy_upstream_name proxy_alternative_upstream_name namespace ingress_name service_name
        service_port location_path ssl_protocol ssl_cipher ssl_session_reused ssl_session_id
        ssl_curve tcpinfo_rtt tcpinfo_rttvar tcpinfo_snd_cwnd tcpinfo_rcv_space limit_req_status
        limit_conn_status geoip_country_code geoip_country_code3 geoip2_country_code http2 http3""",
}
_FIXED = {name: shape for shape, names in _SHAPES.items() for name in names.split()}
_TEXTS = frozenset(
    """
    request request_uri uri document_uri args query_string remote_user request_body
    request_filename content_type proxy_add_x_forwarded_for req_id http_cookie
    """.split()
)
_TEXT_PREFIXES = (
    "http_", "arg_", "cookie_", "sent_http_", "upstream_http_", "upstream_cookie_",
    "sent_trailer_", "upstream_trailer_", "jwt_claim_", "jwt_header_",
)  # fmt: skip
_PATHS = frozenset({"uri", "document_uri", "request_uri"})
_QUERIES = frozenset({"args", "query_string"})

_DIRECTIVE = re.compile(r"\s*log_format\s++[^\s'\"]++\s++")
_ESCAPE = re.compile(r"\s*escape=(\w++)\s++")
_STRINGS = re.compile(r"""\s*(?:'((?:[^'\\]|\\.)*+)'|"((?:[^"\\]|\\.)*+)")\s*""", re.DOTALL)
_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))", re.ASCII)


def nginx_layout(text: str) -> Layout:
    """The layout of a `log_format`: its text, its strings in quotes, or the whole directive.

    Raises:
        ValueError: it cannot be read, says no time or no request, or lets a client forge fields.
    """
    body, escape = _unwrapped(text)
    pieces: list[Piece] = []
    at = 0
    for match in _VARIABLE.finditer(body):
        pieces += [body[at : match.start()], _slot(match[1] or match[2], match[0])]
        at = match.end()
    pieces.append(body[at:])
    if escape not in {"default", "json", "none"}:
        raise ValueError(f"log format {text!r}: escape is default, json or none, not {escape}")
    layout = Layout(text, tuple(_one_target([p for p in pieces if p])), escape != "none")
    names = {piece.key for piece in layout.pieces if isinstance(piece, Slot)}
    if not names & {"time_local", "time_iso8601", "msec"}:
        raise ValueError(f"log format {text!r} has no time: log $time_local or $msec too")
    if not names & {"request", *_PATHS}:
        raise ValueError(f"log format {text!r} has no request: log $request or $request_uri too")
    check(layout)
    return layout


def _unwrapped(text: str) -> tuple[str, str]:
    """(the format itself, how values are escaped)."""
    rest, escape = text, "default"
    directive = _DIRECTIVE.match(rest)
    if directive:
        rest = rest[directive.end() :]
    if found := _ESCAPE.match(rest):
        rest, escape = rest[found.end() :], found[1]
    if directive is None and not rest.lstrip().startswith("'"):
        return rest, escape
    body, at = "", 0
    while match := _STRINGS.match(rest, at):
        quote = "'" if match[1] is not None else '"'
        body += (match[1] or match[2] or "").replace("\\" + quote, quote)
        at = match.end()
    if not at or rest[at:].strip() not in {"", ";"}:
        raise ValueError(f"log format {text!r}: after {body!r} stands what is no string in quotes")
    return body.replace("\\t", "\t"), escape


def _slot(name: str, label: str) -> Slot:
    if (shape := _FIXED.get(name)) is not None:
        return Slot(label, name, "fixed", shape)
    if name in _TEXTS or name.startswith(_TEXT_PREFIXES):
        return Slot(label, name, "text")
    return Slot(label, name, "unknown")


def _one_target(pieces: list[Piece]) -> list[Piece]:
    """A path and the query that stands right after it are one target."""
    found: list[Piece] = []
    for piece in pieces:
        before = found[-1] if found else ""
        if isinstance(piece, Slot) and piece.key in _QUERIES:
            between: Piece = ""
            if before == "?" or (isinstance(before, Slot) and before.key == "is_args"):
                between, before = found.pop(), found[-1] if found else ""
            if isinstance(before, Slot) and before.key in _PATHS:
                found[-1] = before._replace(label=before.label + _label(between) + piece.label)
                continue
            if between:
                found.append(between)
        found.append(piece)
    return found


def _label(piece: Piece) -> str:
    return piece.label if isinstance(piece, Slot) else piece
