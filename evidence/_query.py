"""Questions about the history, answered by DuckDB over segments and rows that are in none yet.

Values are bound, never written into SQL. What people type is one SELECT on a connection that can
read the segments and nothing else: no other file, no network, no extension, no setting.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evidence._columns import COLUMNS
from evidence.query.actors import actor_query
from evidence.query.sql import MACROS, condition
from evidence.query.tree import EVERYTHING, Node
from evidence.rows import Row
from records.event import Actor

if TYPE_CHECKING:
    import duckdb

_FETCH_ROWS = 2000
_ATTEMPTS = 3
_MEMORY = "1GB"

Rows = list[tuple[Any, ...]]


def connect(files: Sequence[Path], rest: Any, spill: Path) -> "duckdb.DuckDBPyConnection":
    """A locked connection with the view `events`: the files' rows and those of `rest`."""
    import duckdb  # noqa: PLC0415  commands that ask nothing need not wait for it

    db = duckdb.connect(
        ":memory:",
        config={
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            "memory_limit": _MEMORY,
            "temp_directory": str(spill),
        },
    )
    try:
        db.execute("SET TimeZone = 'UTC'")
        for macro in MACROS:
            db.execute(macro)
        names = ", ".join(f'"{name}"' for name in COLUMNS)
        db.register("unsegmented", rest)
        view = f"CREATE VIEW events AS SELECT {names} FROM unsegmented"  # noqa: S608
        if files:
            paths = [str(file.absolute()) for file in files]
            read = ", ".join(map(_literal, map(_not_a_glob, paths)))
            view += f" UNION ALL SELECT {names} FROM read_parquet([{read}])"  # noqa: S608
            allowed = {*paths, *map(_not_a_glob, paths)}
            db.execute(f"SET allowed_paths = [{', '.join(map(_literal, sorted(allowed)))}]")
        db.execute("SET enable_external_access = false")
        db.execute("SET lock_configuration = true")
        db.execute(view)
    except BaseException:
        db.close()
        raise
    return db


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _not_a_glob(path: str) -> str:
    """A path that DuckDB takes as a file's name, whatever is in it."""
    return "".join(f"[{c}]" if c in "[*?" else c for c in path)


@contextmanager
def _mapped() -> Iterator[None]:
    import duckdb  # noqa: PLC0415

    try:
        yield
    except duckdb.IOException as error:
        raise OSError(f"searching history: {error}") from error
    except duckdb.OutOfMemoryException as error:
        raise OSError(f"searching history: ask for less at once: {error}") from error
    except duckdb.Error as error:
        raise ValueError(f"searching history: {error}") from error


def _select(db: "duckdb.DuckDBPyConnection", query: str, values: Sequence[Any]) -> list[str]:
    """Run one SELECT; its column names. The rows are then fetched from `db`."""
    import duckdb  # noqa: PLC0415

    statements = db.extract_statements(query)
    if [s.type for s in statements] != [duckdb.StatementType.SELECT]:
        raise ValueError(f"searching history: write one SELECT on `events`, not {query!r}")
    db.execute(statements[0], list(values))
    return [column[0] for column in db.description or ()]


class Questions(ABC):
    """What a history can be asked."""

    @abstractmethod
    def _connect(self) -> "tuple[duckdb.DuckDBPyConnection, list[Path]]":
        """A connection of `connect`, to be closed by who asked, and the files that it reads."""

    def search(
        self,
        query: Node = EVERYTHING,
        *,
        ip: str | None = None,
        principal: str | None = None,
        session: str | None = None,
        user: str | None = None,
        route: str | None = None,
        since_ms: int | None = None,
        until_ms: int | None = None,
        where: str | None = None,
        limit: int | None = None,
    ) -> Iterator[Row]:
        """Events that match all of it, by (time, event), as dicts with `time_ms` for `time`.

        query: over `fields.EVENTS`; user: one of the targets; since_ms <= time < until_ms;
        where: a SQL condition on the columns, from a person who may read all of the history.

        Raises:
            ValueError: `where` is no condition.
            OSError: a segment cannot be read.
        """
        sql, values = _search_sql(
            query,
            ip=ip,
            principal=principal,
            session=session,
            user=user,
            route=route,
            since_ms=since_ms,
            until_ms=until_ms,
            where=where,
            limit=limit,
        )
        names, rows = self._ask(sql, values)
        for row in rows:
            yield dict(zip(names, row, strict=True))

    def look_back(
        self, actor: Actor, since_ms: int | None = None, until_ms: int | None = None
    ) -> Iterator[Row]:
        """Events that an actor answers for, since_ms <= time < until_ms, by (time, event).

        Raises:
            ValueError: it is an actor that the history does not know.
            OSError: a segment cannot be read.
        """
        return self.search(actor_query(actor), since_ms=since_ms, until_ms=until_ms)

    @property
    def left_out(self) -> Sequence[str]:
        """Nothing: segments are read whole or not at all."""
        return ()

    def sql(self, query: str) -> tuple[list[str], Rows]:
        """Column names and rows of one SELECT on the view `events`, which is all that it can read.

        Raises:
            ValueError: it is not one SELECT, or is wrong.
            OSError: a segment cannot be read.
        """
        names, rows = self._ask(query, [])
        return names, list(rows)

    def counts_by_verdict(self, *, ip: str | None = None) -> dict[str, int]:
        """How many events of each verdict, of one address or of all."""
        condition, values = ("", []) if ip is None else ("WHERE ip = ?", [ip])
        query = (
            f"SELECT verdict, count(*) FROM events {condition} GROUP BY verdict ORDER BY verdict"  # noqa: S608
        )
        return dict(self._ask(query, values)[1])

    def _ask(
        self, query: str, values: Sequence[Any]
    ) -> tuple[list[str], Iterator[tuple[Any, ...]]]:
        """Column names and rows."""
        for attempts_left in reversed(range(_ATTEMPTS)):
            with _mapped():
                db, files = self._connect()
            try:
                with _mapped():
                    names = _select(db, query, values)
                    rows = db.fetchmany(_FETCH_ROWS)
                return names, _rows_of(db, rows)
            except BaseException:
                db.close()
                # The process that writes may just have merged or removed a segment.
                if not attempts_left or all(file.exists() for file in files):
                    raise
        raise AssertionError  # the last attempt returns or raises


def _rows_of(db: "duckdb.DuckDBPyConnection", rows: Rows) -> Iterator[tuple[Any, ...]]:
    """These rows and those behind them; ends the connection."""
    try:
        while rows:
            yield from rows
            with _mapped():
                rows = db.fetchmany(_FETCH_ROWS)
    finally:
        db.close()


def _search_sql(
    query: Node,
    *,
    ip: str | None,
    principal: str | None,
    session: str | None,
    user: str | None,
    route: str | None,
    since_ms: int | None,
    until_ms: int | None,
    where: str | None,
    limit: int | None,
) -> tuple[str, list[Any]]:
    """One SELECT and its values; `time` goes out as integer milliseconds."""
    terms: list[str] = []
    values: list[Any] = []
    tests: dict[str, Any] = {
        "ip = ?": ip,
        "principal = ?": principal,
        "session = ?": session,
        "list_contains(targets, ?)": user,
        "route = ?": route,
        "time >= make_timestamp_ms(?)": since_ms,
        "time < make_timestamp_ms(?)": until_ms,
    }
    for test, value in tests.items():
        if value is not None:
            terms.append(test)
            values.append(value)
    if query != EVERYTHING:
        sql, bound = condition(query)
        terms.append(sql)
        values += bound
    if where is not None:
        terms.append(f"({where}\n)")  # the line break ends a comment that would hide the bracket
    columns = ", ".join("epoch_ms(time) AS time_ms" if c == "time" else f'"{c}"' for c in COLUMNS)
    sql = f"SELECT {columns} FROM events"  # noqa: S608  names from COLUMNS
    if terms:
        sql += " WHERE " + " AND ".join(terms)
    sql += " ORDER BY events.time, event"
    if limit is not None:
        sql += " LIMIT ?"
        values.append(limit)
    return sql, values
