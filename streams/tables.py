"""Reads the files that the configuration names: identities, owners, grants, keys of issuers.

In: settings with paths. Out: `intake.ownership.Tables`. Errors name the file, its line and column,
and are raised as ValueError before any log is read.
"""

import csv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from intake.ownership import Owners, Tables, grants_of, owners_of, people_of
from intake.settings import IntakeSettings
from intake.tokens import Verifier


def read_tables(settings: IntakeSettings) -> Tables:
    """All rows, as look-ups.

    Raises:
        ValueError: a file is missing, unreadable, or lacks a column.
    """
    people: dict[str, str] = {}
    if settings.identities is not None:
        people = people_of(_rows(settings.identities.file, ("id", "user")))
    owners: dict[str, Mapping[str, Owners]] = {}
    roles = {rule.match: rule.owner for rule in settings.routes}
    for source in settings.ownership:
        if source.file is not None:
            columns = roles.get(source.route) or [source.owner]
            rows = _rows(source.file, (source.object, *columns))
            try:
                owners[source.route] = owners_of(rows, source, columns)
            except ValueError as error:
                raise ValueError(_about(source.file, "owners", error)) from error
    grants = []
    if settings.grants is not None:
        path = settings.grants.file
        try:
            grants = grants_of(_rows(path, ("principal", "owner")))
        except ValueError as error:
            raise ValueError(_about(path, "grants", error)) from error
    verifier = None if settings.jwt.jwks is None else read_keys(settings.jwt.jwks)
    return Tables(people, owners, grants, verifier)


def read_keys(path: Path) -> Verifier:
    """What checks the signatures of tokens against the keys of a JWKS file.

    Raises:
        ValueError: it cannot be read, or has no key that can verify a token.
    """
    # Most deployments have no keys, and need not wait for what would check them.
    from intake.jwks import Keys  # noqa: PLC0415

    try:
        return Keys(path.read_bytes())
    except OSError as error:
        raise ValueError(f"reading {path}: {error.strerror or error}") from error
    except ValueError as error:
        raise ValueError(_about(path, "keys", error)) from error


def _about(path: Path, what: str, error: ValueError) -> str:
    """What is wrong, with the file, unless it says so."""
    says = str(error)
    return says if says.startswith("reading ") else f"reading {what} from {path}: {says}"


def _rows(path: Path, columns: Sequence[str]) -> Iterator[dict[str, str]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, skipinitialspace=True)
            names = [name.strip() for name in reader.fieldnames or ()]
            reader.fieldnames = names
            if missing := [name for name in columns if name not in names]:
                raise ValueError(
                    f"reading {path}: no column {', '.join(missing)} in its first line "
                    f"({', '.join(names) or 'empty'}); add it, or name the column to use"
                )
            for row in reader:
                if any(row.get(name) is None for name in columns):
                    raise ValueError(
                        f"reading {path}, line {reader.line_num}: fewer columns than its first line"
                    )
                yield {key: value or "" for key, value in row.items() if key}
    except OSError as error:
        raise ValueError(f"reading {path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"reading {path}: not UTF-8 text ({error.reason})") from error
