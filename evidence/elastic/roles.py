"""Who may do what in Elasticsearch: role descriptors, as the security API takes them.

Constants only. None of them may delete, or change a document of a stream once it is written: what
takes over a worker or an analyst's account cannot remove the traces, nor a signed head. Only
incidents, which grow, are written again by their id.
"""

from typing import Any

from evidence.elastic.templates import HEADS, INCIDENTS

Role = dict[str, Any]
"""A role descriptor: privileges on the cluster and on indices."""

STREAM_PATTERN = "logs-breachline.*"
INDEX_PATTERN = "breachline-*"
_READ = ("read", "view_index_metadata")

WRITER: Role = {
    "cluster": ["monitor"],
    "indices": [
        {"names": [STREAM_PATTERN], "privileges": ["auto_configure", "create_doc", *_READ]},
        {"names": [HEADS], "privileges": ["auto_configure", "create_doc", *_READ]},
        {"names": [INCIDENTS], "privileges": ["auto_configure", "index", *_READ]},
    ],
}
"""What `run` and `worker` need."""

SETUP: Role = {
    "cluster": ["monitor", "manage_index_templates"],
    "indices": [
        {
            "names": [STREAM_PATTERN, INDEX_PATTERN],
            # Single actions where the named privilege (`manage`) would also allow deleting.
            "privileges": [
                "auto_configure",
                "manage_data_stream_lifecycle",
                "indices:admin/mapping/put",
                "indices:admin/rollover",
                *_READ,
            ],
        },
    ],
}
"""What `es setup` and `es check` need."""

READER: Role = {
    "cluster": [],
    "indices": [{"names": [STREAM_PATTERN, INDEX_PATTERN], "privileges": [*_READ]}],
}
"""What an analyst needs, beside access to Kibana, which Kibana's own roles give."""

ROLES: dict[str, Role] = {
    "breachline_writer": WRITER,
    "breachline_setup": SETUP,
    "breachline_reader": READER,
}
