"""Links into Kibana's Discover: the same query, over the same time, for who goes on looking there.

An address of Kibana and a query come in, a URL goes out. Nothing is asked of Kibana.
"""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from records.ids import iso

_PLAIN = re.compile(r"[A-Za-z_./~-][A-Za-z0-9_./~-]*")
_WORDS = {True: "!t", False: "!f", None: "!n"}
_UNQUOTED = "!'()*,:;@$/~"
"""What the part of a URL behind `#` may hold, and Rison is written with."""


def discover_url(
    kibana: str,
    view: str,
    query: str,
    since_ms: int | None = None,
    until_ms: int | None = None,
    *,
    language: str = "lucene",
) -> str:
    """Where Discover shows what a query finds; without a time, all of it until now.

    view: id of the data view, as `kibana` names ours. language: lucene or kuery.
    """
    first = "1970-01-01T00:00:00.000Z" if since_ms is None else iso(since_ms)
    last = "now" if until_ms is None else iso(until_ms)
    shown = {"time": {"from": first, "to": last}}
    asked = {
        "columns": [],
        "index": view,
        "query": {"language": language, "query": query},
        "sort": [["@timestamp", "asc"]],
    }
    parts = "&".join(f"{name}={quote(rison(it), safe=_UNQUOTED)}" for name, it in
                     (("_g", shown), ("_a", asked)))  # fmt: skip
    return f"{kibana.rstrip('/')}/app/discover#/?{parts}"


def rison(value: Any) -> str:
    """A value as Rison, the JSON that Kibana keeps in URLs."""
    if isinstance(value, Mapping):
        return f"({','.join(f'{rison(key)}:{rison(item)}' for key, item in value.items())})"
    if isinstance(value, list | tuple):
        return f"!({','.join(map(rison, value))})"
    if isinstance(value, bool) or value is None:
        return _WORDS[value]
    if isinstance(value, int | float):
        return str(value).replace("+", "")
    text = str(value)
    if _PLAIN.fullmatch(text):
        return text
    escaped = text.replace("!", "!!").replace("'", "!'")
    return f"'{escaped}'"
