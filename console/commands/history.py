"""`breachline history`: search the access events that were kept, or ask SQL of them."""

from datetime import datetime
from pathlib import Path

import click
from click.core import ParameterSource

from console.case import folder_of, opened
from console.custody import told, why
from console.history_search import line, search
from console.options import (
    as_json,
    common,
    from_dir,
    moment,
    print_ndjson,
    refusing,
    settings_of,
)
from evidence.history import History
from intake.addresses import canonical_address
from streams.plain import plain

_EXAMPLE = """\b
Examples:
  breachline history --ip 203.0.113.7 --since 2026-11-22T10:00Z
  breachline history --user u-18 --json
  breachline history search 'user.id:u-66 AND breachline.verdict:foreign'
  breachline history --sql "SELECT route, count(*) FROM events GROUP BY ALL ORDER BY 2 DESC"
"""


@click.group(invoke_without_command=True, epilog=_EXAMPLE)
@click.option("--ip", help="Client address.")
@click.option("--principal", help="Who was asking.")
@click.option("--session", help="Session digest, as findings give it.")
@click.option("--user", help="Whose data was addressed.")
@click.option("--route", help="Route template.")
@click.option("--since", callback=moment, help="From this time on (ISO 8601).")
@click.option("--until", callback=moment, help="Before this time.")
@click.option("--where", help="A further condition in SQL over the columns.")
@click.option("--limit", type=click.IntRange(min=1), help="At most so many events (default: all).")
@click.option("--sql", help="A whole query over the view `events`, instead of the options above.")
@from_dir
@why
@as_json
@common
@click.pass_context
def command(
    context: click.Context,
    ip: str | None,
    principal: str | None,
    session: str | None,
    user: str | None,
    route: str | None,
    since: int | None,
    until: int | None,
    where: str | None,
    limit: int | None,
    sql: str | None,
    from_dir: Path | None,
    why: str,
    as_json: bool,
    config: Path | None,
    data_dir: Path | None,
) -> None:
    """Search the kept access events, by time; all that match are printed.

    With the options below, or with a query over ECS fields: breachline history search --help
    """
    if context.invoked_subcommand is not None:
        _refuse_options(context)
        return
    settings = settings_of(config, data_dir)
    asked = {
        "ip": ip, "principal": principal, "session": session, "user": user, "route": route,
        "since": since, "until": until, "where": where, "limit": limit, "sql": sql,
    }  # fmt: skip
    question = {name: value for name, value in asked.items() if value is not None}
    told(settings, from_dir, "history", why, question=question)
    with (
        opened(settings, from_dir) as store,
        refusing(),
        History(folder_of(settings, from_dir) / "history") as history,
    ):
        history.load_staged(store)
        if sql is not None:
            columns, rows = history.sql(sql)
            print_ndjson(dict(zip(columns, map(_plain, row), strict=True)) for row in rows)
            return
        found = history.search(
            ip=canonical_address(ip) if ip else None, principal=principal, session=session,
            user=user, route=route, since_ms=since, until_ms=until, where=where, limit=limit,
        )  # fmt: skip
        if as_json:
            print_ndjson({key: _plain(value) for key, value in row.items()} for row in found)
            return
        for row in found:
            click.echo(plain(line(row)))


def _refuse_options(context: click.Context) -> None:
    for option in context.command.params:
        source = context.get_parameter_source(str(option.name))
        if source is ParameterSource.COMMANDLINE:
            name = context.invoked_subcommand
            raise click.UsageError(f"{option.opts[-1]} stands before {name}: put options after it")


def _plain(value: object) -> object:
    """A value of a query as JSON has it."""
    if value is None or isinstance(value, str | int | float | bool | list | dict):
        return value
    return value.isoformat() if isinstance(value, datetime) else str(value)


command.add_command(search)
