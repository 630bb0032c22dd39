"""One request as one log line, the way a gateway, a JSON log_format or nginx would write it.

In: who asked, what, and what was answered. Out: text lines. A `Line` writes the parts that stay
the same for a client once, because millions of lines follow.
"""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Literal, NamedTuple

Format = Literal["ecs", "json", "nginx"]

Parts = tuple[str, str, str]
"""What a client's lines have in common: before, in the midst of and after the request."""


class Client(NamedTuple):
    """Who sends a request; "" means that there is none, or that the log does not have it."""

    ip: str
    principal: str = ""
    session: str = ""
    user_agent: str = ""
    claimed: str = ""
    """X-User-ID as sent."""
    referer: str = ""
    fetch_site: str = ""


class Request(NamedTuple):
    """One scheduled request and its answer."""

    time_ms: int
    client: Client
    method: str
    path: str
    status: int
    size: int
    """Body bytes sent."""


Render = Callable[[str, int, Parts, str, str, int, int, int], str]
"""(second as text, milliseconds, parts, method, path, status, size, request number) -> line."""


class Line(NamedTuple):
    """How one format writes: three plain functions."""

    parts: Callable[[Client], Parts]
    second: Callable[[int], str]
    """Seconds since 1970 as this format begins a time."""
    render: Render


def line_of(format_: Format) -> Line:
    """The writer of a format.

    Raises:
        ValueError: no such format.
    """
    if format_ not in _LINES:
        raise ValueError(f"log format {format_!r}: write one of {', '.join(_LINES)}")
    parts, second, render = _LINES[format_]
    return Line(lru_cache(maxsize=256)(parts), second, render)


def _ecs_parts(client: Client) -> Parts:
    head = f'"source":{{"ip":"{client.ip}"}},'
    if client.principal:
        head += f'"user":{{"id":"{client.principal}"}},'
    headers = {}
    if client.claimed:
        headers["x-user-id"] = client.claimed
    if client.fetch_site:
        headers["sec-fetch-site"] = client.fetch_site
    middle = f',"headers":{_json(headers)}' if headers else ""
    if client.referer:
        middle += f',"referrer":{_json(client.referer)}'
    tail = f',"user_agent":{{"original":{_json(client.user_agent)}}}'
    if client.session:
        tail += f',"session":{{"id":"{client.session}"}}'
    return head, middle, tail + "}\n"


def _ecs(
    second: str, ms: int, parts: Parts, method: str, path: str, status: int, size: int, number: int
) -> str:
    head, middle, tail = parts
    return (
        f'{{"@timestamp":"{second}.{ms:03d}Z",{head}"http":{{"request":{{"id":"{number:016x}",'
        f'"method":"{method}"{middle}}},"response":{{"status_code":{status},"body":{{"bytes":'
        f'{size}}}}}}},"url":{{"original":"{path}"}}{tail}'
    )


def _flat_parts(client: Client) -> Parts:
    head = f',"remote_addr":"{client.ip}"'
    if client.principal:
        head += f',"user_id":"{client.principal}"'
    if client.session:
        head += f',"session_id":"{client.session}"'
    tail = f',"http_user_agent":{_json(client.user_agent)}'
    if client.claimed:
        tail += f',"http_x_user_id":"{client.claimed}"'
    if client.referer:
        tail += f',"http_referer":{_json(client.referer)}'
    return head, "", tail + "}\n"


def _flat(
    second: str, ms: int, parts: Parts, method: str, path: str, status: int, size: int, number: int
) -> str:
    head, _, tail = parts
    return (
        f'{{"time":"{second}.{ms:03d}+00:00"{head},"request_method":"{method}",'
        f'"request_uri":"{path}","status":{status},"body_bytes_sent":{size},'
        f'"request_id":"{number:016x}"{tail}'
    )


def _nginx_parts(client: Client) -> Parts:
    referer = client.referer or "-"
    head = f"{client.ip} - {client.principal or '-'} ["
    return head, "", f' "{referer}" "{client.user_agent or "-"}"\n'


def _nginx(
    second: str, ms: int, parts: Parts, method: str, path: str, status: int, size: int, number: int
) -> str:
    del ms, number  # combined has neither
    head, _, tail = parts
    return f'{head}{second}] "{method} {path} HTTP/1.1" {status} {size}{tail}'


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


def _iso(second: int) -> str:
    return f"{datetime.fromtimestamp(second, UTC):%Y-%m-%dT%H:%M:%S}"


_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def _clf(second: int) -> str:
    # Not %b: it follows the machine's locale.
    moment = datetime.fromtimestamp(second, UTC)
    return f"{moment:%d}/{_MONTHS[moment.month - 1]}/{moment:%Y:%H:%M:%S} +0000"


_LINES: dict[str, tuple[Callable[[Client], Parts], Callable[[int], str], Render]] = {
    "ecs": (_ecs_parts, _iso, _ecs),
    "json": (_flat_parts, _iso, _flat),
    "nginx": (_nginx_parts, _clf, _nginx),
}
