"""Brings an Elasticsearch to what the templates say, and says how far it is from it.

A client comes in, steps go out: what was created, brought up to date or left alone. Doing it again
changes nothing. No document is touched and no index removed: a stream that was begun under other
templates is rolled over, so that what comes next has ours.
"""

import re
from collections.abc import Mapping
from typing import Any, Literal

import msgspec
from elasticsearch import ApiError, AsyncElasticsearch, BadRequestError, NotFoundError

from evidence.elastic.roles import Role
from evidence.elastic.templates import (
    ECS,
    EVIDENCE,
    FAMILY,
    INDICES,
    OWN,
    STREAMS,
    VERSION,
    Template,
    duration,
    mappings,
    templates,
)

_Body = Mapping[str, Any]
_UNKNOWN_TYPE = re.compile(r"mapper type \[(\w+)\]|[Nn]o handler for type \[(\w+)\]")
_OLDER_FIRST = 6
"""The last characters of a backing index's name count the stream's generations."""


class Step(msgspec.Struct, frozen=True):
    """One thing that setup did, or in a dry run would do; `wrong` is for a person to mend."""

    what: str
    name: str
    state: Literal["created", "updated", "unchanged", "wrong"]
    says: str = ""
    do: str = ""


async def set_up(
    client: AsyncElasticsearch, retention_s: int, *, dry_run: bool = False
) -> list[Step]:
    """Put what is missing or differs; what was done, in order.

    Raises:
        elasticsearch.ApiError, elasticsearch.TransportError: as the client does.
    """
    lacking = await lacking_types(client)
    steps = [
        await _template(client, template, dry_run=dry_run)
        for template in templates(retention_s, lacking)
    ]
    wanted = mappings({**ECS, **OWN}, lacking)["properties"]
    for name in (*STREAMS, *INDICES):
        steps += await _place(client, name, wanted, dry_run=dry_run)
    for name in STREAMS:
        kept = None if name == EVIDENCE else duration(retention_s)
        steps += await _lifecycle(client, name, kept, dry_run=dry_run)
    return steps


async def lacking_types(client: AsyncElasticsearch) -> frozenset[str]:
    """Field types that this server was built without; every full distribution has them all."""
    lacking: frozenset[str] = frozenset()
    for _ in FAMILY:
        special = {kind: {"type": kind} for kind in FAMILY if kind not in lacking}
        body = {
            "index_patterns": ["breachline-probe"],
            "template": {"mappings": {"properties": special}},
        }
        try:
            await client.indices.simulate_template(body=body)
        except BadRequestError as error:
            unknown = _UNKNOWN_TYPE.search(str(error.body))
            if unknown is None:
                raise
            lacking |= {unknown[1] or unknown[2]}
        else:
            break
    return lacking


async def _template(client: AsyncElasticsearch, template: Template, *, dry_run: bool) -> Step:
    what, put = f"{template.kind} template", client.indices.put_index_template
    if template.kind == "component":
        put = client.cluster.put_component_template  # type: ignore[assignment]
    found = await _found(client, template)
    if found is not None and _same(found, template.body):
        return Step(what, template.name, "unchanged")
    if not dry_run:
        await put(name=template.name, body=template.body)
    if found is None:
        return Step(what, template.name, "created")
    was = found.get("version", "none")
    says = "it was changed" if was == VERSION else f"version {was} was there"
    return Step(what, template.name, "updated", says)


async def _found(client: AsyncElasticsearch, template: Template) -> _Body | None:
    try:
        if template.kind == "component":
            answer = await client.cluster.get_component_template(name=template.name)
            body: _Body = answer["component_templates"][0]["component_template"]
        else:
            answer = await client.indices.get_index_template(name=template.name)
            body = answer["index_templates"][0]["index_template"]
    except NotFoundError:
        return None
    return body


def _same(theirs: _Body, ours: _Body) -> bool:
    """Whether a template is ours; servers add dates, and what they assume of a data stream."""
    if ("data_stream" in theirs) != ("data_stream" in ours):
        return False
    keys = {*ours, "template", "composed_of"} - {"data_stream"}
    # What is empty may be left out by either side.
    return all((theirs.get(key) or None) == (ours.get(key) or None) for key in keys)


async def _place(
    client: AsyncElasticsearch, name: str, wanted: _Body, *, dry_run: bool
) -> list[Step]:
    """A stream or index that is there already: templates count only for what is made later."""
    try:
        found = await client.indices.get_mapping(index=name)
    except NotFoundError:
        return []
    newest = max(found, key=lambda index: index[-_OLDER_FIRST:])
    is_stream = newest.startswith(".ds-")
    what = "data stream" if is_stream else "index"
    if is_stream != (name in STREAMS):
        says = f"an {what}" if what == "index" else f"a {what}"
        says += " has this name: it was made before the templates"
        todo = "reindex it under another name, delete it, and run `breachline es setup` again"
        return [Step(what, name, "wrong", says, todo)]
    if _contains(found[newest]["mappings"].get("properties", {}), wanted):
        return [Step(what, name, "unchanged")]
    if is_stream:
        if not dry_run:
            await client.indices.rollover(alias=name)
        return [Step(what, name, "updated", "rolled over: what comes next has these mappings")]
    try:
        if not dry_run:
            await client.indices.put_mapping(index=name, properties=wanted)
    except BadRequestError as error:
        todo = "delete the index, and run `breachline evidence rebuild`"
        return [Step(what, name, "wrong", f"its mappings conflict: {_reason(error)}", todo)]
    return [Step(what, name, "updated", "new fields were mapped")]


def _contains(theirs: object, ours: object) -> bool:
    """Whether all of ours is in theirs."""
    if isinstance(ours, Mapping):
        return isinstance(theirs, Mapping) and all(
            key in theirs and _contains(theirs[key], value) for key, value in ours.items()
        )
    return theirs == ours


async def _lifecycle(
    client: AsyncElasticsearch, name: str, kept: str | None, *, dry_run: bool
) -> list[Step]:
    """How long a stream that is there keeps what it has; on evidence nothing may age."""
    try:
        answer = await client.indices.get_data_lifecycle(name=name)
    except ApiError as error:
        # No such stream yet; or a server that was built without these calls.
        if error.status_code in {400, 404, 405}:
            return []
        raise
    what = "retention"
    lifecycle = next((one.get("lifecycle") or {} for one in answer["data_streams"]), {})
    if lifecycle.get("data_retention") != kept or not lifecycle.get("enabled", False):
        if not dry_run:
            body = {"enabled": True, **({"data_retention": kept} if kept else {})}
            await client.indices.put_data_lifecycle(name=name, body=body)
        was = lifecycle.get("data_retention", "none")
        return [Step(what, name, "updated", f"{was} was there, {kept or 'none'} is wanted")]
    if kept is None and "global" in lifecycle.get("retention_determined_by", ""):
        age = lifecycle["effective_retention"]
        says = f"the cluster's own default deletes evidence after {age}"
        todo = "unset data_streams.lifecycle.retention.default and .max in the cluster's settings"
        return [Step(what, name, "wrong", says, todo)]
    return [Step(what, name, "unchanged")]


async def lacking_privileges(client: AsyncElasticsearch, role: Role) -> list[str] | None:
    """`privilege on name` for each of a role's that this client has not; None without security."""
    try:
        answer = await client.security.has_privileges(
            cluster=role["cluster"], index=role["indices"]
        )
    except ApiError as error:
        if error.status_code in {400, 404, 405}:
            return None
        raise
    lacks = [f"{name} on the cluster" for name, held in answer["cluster"].items() if not held]
    for index, privileges in answer["index"].items():
        lacks += [f"{name} on {index}" for name, held in privileges.items() if not held]
    return lacks


def _reason(error: ApiError) -> str:
    body = error.body
    return str(body["error"]["reason"]) if isinstance(body, dict) else error.message
