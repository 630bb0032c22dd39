"""What shippers ask Elasticsearch before they send, and the least that lets each of them begin.

A method and a path come in, a status and an answer go out. Templates, policies and pipelines are
taken and forgotten: nothing is indexed here. It MUST NOT answer a question about documents.
"""

import re
from typing import Any, Final, NamedTuple

VERSION: Final = "8.19.0"
"""The last of version 8: Beats ask for one that is not older than they are, unless told otherwise
(allow_older_versions, true by default since 8.16), and version 9 of clients reads version 8."""
NAME: Final = "breachline"
_UUID: Final = "YnJlYWNobGluZS1saXN0ZQ"


class Answer(NamedTuple):
    """A status and what stands in the body; a text is sent as plain text."""

    status: int
    body: Any


INFO: Final = {
    "name": NAME,
    "cluster_name": NAME,
    "cluster_uuid": _UUID,
    "version": {
        "number": VERSION,
        "build_flavor": "default",
        "build_type": "tar",
        "build_hash": "0" * 40,
        "build_date": "2025-07-23T22:05:00.000000000Z",
        "build_snapshot": False,
        "lucene_version": "9.12.2",
        "minimum_wire_compatibility_version": "7.17.0",
        "minimum_index_compatibility_version": "7.0.0",
    },
    "tagline": "You Know, for Search",
}
_LICENSE: Final = {
    "status": "active", "uid": "627265616368-6c69-6e65-0000-000000000000", "type": "basic",
    "mode": "basic", "issue_date_in_millis": 1753308300000, "max_nodes": 1000,
    "issued_to": NAME, "issuer": NAME, "start_date_in_millis": -1,
}  # fmt: skip
_XPACK: Final = {
    "license": {key: _LICENSE[key] for key in ("uid", "type", "mode", "status")},
    "features": {
        name: {"available": True, "enabled": True} for name in ("ilm", "data_streams", "security")
    },
    "tagline": INFO["tagline"],
}
_HEALTH: Final = {
    "cluster_name": NAME, "status": "green", "timed_out": False, "number_of_nodes": 1,
    "number_of_data_nodes": 1, "active_primary_shards": 0, "active_shards": 0,
    "relocating_shards": 0, "initializing_shards": 0, "unassigned_shards": 0,
    "delayed_unassigned_shards": 0, "number_of_pending_tasks": 0,
    "number_of_in_flight_fetch": 0, "task_max_waiting_in_queue_millis": 0,
    "active_shards_percent_as_number": 100.0,
}  # fmt: skip
_CAT_HEALTH: Final = f"0 00:00:00 {NAME} green 1 1 0 0 0 0 0 0 - 100.0%\n"
_KNOWN: Final = {
    "/": Answer(200, INFO),
    "/_license": Answer(200, {"license": _LICENSE}),
    "/_xpack": Answer(200, _XPACK),
    "/_cluster/health": Answer(200, _HEALTH),
    "/_cat/health": Answer(200, _CAT_HEALTH),
}
_SET_UP: Final = re.compile(
    r"/(?:_index_template|_component_template|_template|_ilm/policy|_ingest/pipeline|_data_stream"
    r"|_alias)/[^/]+|/[^/_][^/]*(?:/_alias/[^/]+)?"
)
"""What shippers set up; the last are an index, and an alias of one."""
_NODES: Final = re.compile(r"/_nodes(?:/[\w:,*-]+)*")


def answer(method: str, path: str, address: str) -> Answer:
    """What a request other than those that bring lines is answered."""
    reads = method in {"GET", "HEAD"}
    path = path.rstrip("/") or "/"
    if reads and (known := _KNOWN.get(path)) is not None:
        return known
    if reads and _NODES.fullmatch(path) is not None:
        return Answer(200, _nodes(address))
    if _SET_UP.fullmatch(path) is not None:
        if method in {"PUT", "POST"}:
            return Answer(200, {"acknowledged": True})
        if reads:
            return error(404, "resource_not_found_exception", f"{path[:200]} is not kept here")
    reason = (
        f"nothing answers {method} {path[:200]}: POST /_bulk takes documents of shippers, POST "
        "/lines takes lines as they are"
    )
    return error(404, "illegal_argument_exception", reason)


def error(status: int, kind: str, reason: str) -> Answer:
    """An error as Elasticsearch words it."""
    cause = {"type": kind, "reason": reason}
    return Answer(status, {"error": {"root_cause": [cause], **cause}, "status": status})


def _nodes(address: str) -> dict[str, Any]:
    node = {
        "name": NAME, "transport_address": address, "host": NAME, "ip": address.rpartition(":")[0],
        "version": VERSION, "roles": ["data", "ingest", "master"],
        "http": {"bound_address": [address], "publish_address": address},
    }  # fmt: skip
    counts = {"total": 1, "successful": 1, "failed": 0}
    return {"_nodes": counts, "cluster_name": NAME, "nodes": {_UUID: node}}
