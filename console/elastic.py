"""Looks at the Elasticsearch of a configuration: reach, version, rights, templates, backlog.

Settings come in, results go out. It changes nothing there.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from elasticsearch import AsyncElasticsearch

from console.fault import Negative, Unreachable, words
from console.report import many
from console.result import Result
from console.standing import backlog_results
from evidence.elastic.client import ERRORS, Trouble, connect, reach, said
from evidence.elastic.roles import WRITER
from evidence.elastic.setup import Step, lacking_privileges, set_up
from evidence.settings import Elasticsearch
from streams.elastic import options_of
from streams.settings import Settings

_DOWN = frozenset({"unreachable", "timeout", "broken", "tls", "busy", "server"})
"""Troubles of a server that does not do what it would do at another time, or for nobody."""


async def examine(settings: Settings) -> list[Result]:
    """All results, in the order in which to mend them; none without an Elasticsearch."""
    elastic = settings.elasticsearch
    if elastic is None:
        return []
    try:
        client = connect(options_of(elastic))
    except ValueError as error:
        return [Result("elasticsearch", "wrong", words(error))]
    async with client:
        results = []
        try:
            results.append(await _reach(client))
            results.append(await _permission(client))
            results += await _templates(client, elastic)
        except ERRORS as error:
            results.append(_hindered(said(error)))
    return [*results, *backlog_results(settings)]


@contextmanager
def troubled() -> Iterator[None]:
    """What hinders a command that cannot do without Elasticsearch, as its way to end.

    Raises:
        Unreachable: it does not answer, or cannot now.
        Negative: it answers, and refuses.
    """
    try:
        yield
    except ERRORS as error:
        trouble = said(error)
        if trouble.kind in _DOWN:
            raise Unreachable(trouble.words) from error
        raise Negative(trouble.words) from error


def _hindered(trouble: Trouble) -> Result:
    state: Literal["wrong", "unreachable"] = "unreachable" if trouble.kind in _DOWN else "wrong"
    return Result("elasticsearch", state, trouble.words)


async def _reach(client: AsyncElasticsearch) -> Result:
    found = await reach(client)
    return Result("elasticsearch", "note" if found.warning else "ok", found.words)


async def _permission(client: AsyncElasticsearch) -> Result:
    what = "elasticsearch permission"
    lacks = await lacking_privileges(client, WRITER)
    if lacks is None:
        says = "it has no security: whoever reaches it may read and change everything"
        return Result(what, "note", says, "set xpack.security.enabled, and give this a key")
    if lacks:
        todo = "give it the role breachline_writer: `breachline es roles` prints it"
        return Result(what, "wrong", f"this key lacks {', '.join(lacks)}", todo)
    return Result(what, "ok", "may write what it must")


async def _templates(client: AsyncElasticsearch, elastic: Elasticsearch) -> list[Result]:
    what = "elasticsearch templates"
    try:
        steps = await set_up(client, int(elastic.retention), dry_run=True)
    except ERRORS as error:
        trouble = said(error)
        if trouble.kind != "permission":
            raise
        todo = "ask with a key of the role breachline_setup"
        return [Result(what, "note", "this key may not see them", todo)]
    return list(template_results(steps))


def template_results(steps: list[Step]) -> Iterator[Result]:
    """What the steps of a dry run mean for a person."""
    what = "elasticsearch templates"
    for step in steps:
        if step.state == "wrong":
            yield Result(f"elasticsearch {step.name}", "wrong", step.says, step.do)
    missing = [step.name for step in steps if step.state == "created"]
    older = [step.name for step in steps if step.state == "updated"]
    if missing:
        says = f"not there: {', '.join(missing)}"
        yield Result(what, "wrong", says, "run `breachline es setup`")
    if older:
        says = f"not as they must be: {', '.join(older)}"
        yield Result(what, "wrong", says, "run `breachline es setup`")
    if not missing and not older:
        yield Result(
            what, "ok", f"{many(len(steps), 'template and index', 'templates and indices')}"
        )
