"""Reads an OpenAPI file and adds its routes to those that are configured.

In: a path. Out: routes, in the order in which they match. The file is data that somebody else
wrote: nothing of it runs, and references to other files are not followed.
"""

from pathlib import Path

import orjson
import yaml

from intake.openapi import Proposed, proposed_routes
from intake.settings import IntakeSettings

_MAX_BYTES = 64 << 20
_MAX_DEPTH = 200


def read_openapi(path: Path) -> list[Proposed]:
    """The routes of an OpenAPI 3 or Swagger 2 file, YAML or JSON.

    Raises:
        ValueError: it cannot be read, or is none; the message names the file.
    """
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise ValueError(f"reading {path}: over {_MAX_BYTES >> 20} MiB; name an OpenAPI file")
        text = path.read_bytes()
    except OSError as error:
        raise ValueError(f"reading {path}: {error.strerror or error}") from error
    try:
        return proposed_routes(_decoded(text))
    except yaml.YAMLError as error:
        where = getattr(error, "problem_mark", None)
        line = f", line {where.line + 1}" if where else ""
        raise ValueError(f"reading {path}{line}: this is neither JSON nor YAML") from error
    except (RecursionError, UnicodeDecodeError) as error:
        raise ValueError(f"reading {path}: this is neither JSON nor YAML") from error
    except ValueError as error:
        raise ValueError(f"reading {path}: {error}") from error


def _decoded(text: bytes) -> object:
    try:
        return orjson.loads(text)
    except ValueError:
        _check_depth(text)
        return yaml.load(text, Loader=_LOADER)  # noqa: S506  a safe loader


def _check_depth(text: bytes) -> None:
    """The loader in C recurses without a limit, and would take the process with it."""
    depth = 0
    for event in yaml.parse(text, Loader=_LOADER):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > _MAX_DEPTH:
            raise ValueError(f"nested more than {_MAX_DEPTH} levels deep; name an OpenAPI file")


_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def with_routes(settings: IntakeSettings, proposed: list[Proposed]) -> IntakeSettings:
    """The settings with a document's routes after those that are configured, which win."""
    if not proposed:
        return settings
    rules = [*settings.routes, *(one.rule for one in proposed)]
    return settings.model_copy(update={"routes": rules})
