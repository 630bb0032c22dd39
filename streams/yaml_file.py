"""A YAML file as plain values that remember where they stand.

In: a path. Out: a `Document`, whose `problem()` puts file, line, column and dotted path before a
message. YAML's safe subset only; a key that stands twice is a problem, never silently the last.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

_MAX_NODES = 200_000
"""More than any configuration; a file of nested aliases would otherwise grow without end."""

Place = tuple[str | int, ...]
Position = tuple[int, int]
"""(line, column), from 1."""


class ConfigError(ValueError):
    """A configuration that cannot be used; `problems` says where and what to write instead."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class Document:
    """What a YAML file holds, and where."""

    def __init__(self, name: str) -> None:
        self.name = name
        """The file as people named it."""
        self.data: Any = None
        self.problems: list[tuple[Position, str]] = []
        """What is wrong already, each with the position to sort by."""
        self.keys: dict[Place, Position] = {}
        self.values: dict[Place, Position] = {}

    def at(self, place: Place) -> Any:
        """The value at a place, or None where the file has none."""
        value = self.data
        for part in place:
            try:
                value = value[part]
            except (LookupError, TypeError):
                return None
        return value

    def nearest(self, place: Place) -> Place:
        """The place itself, or what stands nearest around it in the file."""
        while place and place not in self.values:
            place = place[:-1]
        return place

    def position(self, place: Place, *, key: bool = False) -> Position:
        """Where a value begins, or its key; of the nearest place around it, if it is not there."""
        place = self.nearest(place)
        return (self.keys.get(place) if key else None) or self.values.get(place, (1, 1))

    def problem(self, place: Place, text: str, *, key: bool = False) -> tuple[Position, str]:
        """(position to sort by, "file:line:column: dotted.path: text")."""
        position = self.position(place, key=key)
        return position, self.message(position, place, text)

    def message(self, position: Position, place: Place, text: str) -> str:
        """The text with file, line, column and dotted path before it."""
        dotted = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place)
        return f"{self.name}:{position[0]}:{position[1]}: {dotted.lstrip('.') or 'file'}: {text}"


class _Loader(yaml.SafeLoader):
    """SafeLoader; nothing of it runs code."""


def read_yaml(path: Path, shown: str, origin: str) -> Document:
    """Read one file; `shown` is its name in messages, `origin` says who named it.

    Raises:
        ConfigError: it is missing, unreadable, not UTF-8, or not YAML.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise ConfigError(
            [f"{shown}: no such configuration file ({origin}): create it or correct the path"]
        ) from None
    except IsADirectoryError:
        raise ConfigError([f"{shown}: is a directory ({origin}): name the YAML file"]) from None
    except UnicodeDecodeError as error:
        raise ConfigError(
            [f"{shown}: byte {error.start} is not UTF-8: save the file as UTF-8"]
        ) from None
    except OSError as error:
        raise ConfigError(
            [f"{shown}: reading the configuration: {error.strerror or error}"]
        ) from None
    return parse_yaml(text, shown)


def parse_yaml(text: str, name: str) -> Document:
    """The same for a text.

    Raises:
        ConfigError: it is not YAML, or its top level is no block of keys.
    """
    document = Document(name)
    try:
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            if node is not None:
                _Reader(document, loader).read(node)
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        raise ConfigError([_syntax(name, error)]) from None
    except RecursionError:
        raise ConfigError([f"{name}: nested too deeply: take lists and aliases apart"]) from None
    except yaml.YAMLError as error:
        raise ConfigError([f"{name}: this is not YAML: {_first_line(error)}"]) from None
    return document


def _syntax(name: str, error: yaml.MarkedYAMLError) -> str:
    mark = error.problem_mark or error.context_mark
    where = f"{name}:{mark.line + 1}:{mark.column + 1}" if mark else name
    return f"{where}: this is not YAML: {error.problem or error.context or 'unreadable'}"


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0] or type(error).__name__


class _Reader:
    """Turns nodes into values and writes down where each stands."""

    def __init__(self, document: Document, loader: _Loader) -> None:
        self._document = document
        self._loader = loader
        self._nodes = 0

    def read(self, node: yaml.Node) -> None:
        value = self._value(node, ())
        if value is not None and not isinstance(value, dict):
            raise ConfigError(
                [f"{self._document.name}:1:1: the file must hold keys, such as `intake:`"]
            )
        self._document.data = value

    def _value(self, node: yaml.Node, place: Place) -> Any:
        self._nodes += 1
        if self._nodes > _MAX_NODES:
            raise ConfigError(
                [f"{self._document.name}: over {_MAX_NODES} values: take aliases (*name) out"]
            )
        self._document.values.setdefault(place, _position(node))
        if isinstance(node, yaml.MappingNode):
            return dict(self._pairs(node, place))
        if isinstance(node, yaml.SequenceNode):
            return [self._value(item, (*place, n)) for n, item in enumerate(node.value)]
        try:
            return self._loader.construct_object(node)
        except ValueError as error:
            self._note(node, place, f"{_first_line(error)}: put it in quotes if it is a text")
            return None

    def _pairs(self, node: yaml.MappingNode, place: Place) -> Iterator[tuple[str, Any]]:
        self._loader.flatten_mapping(node)
        seen: dict[str, Position] = {}
        for key_node, value_node in node.value:
            key = key_node.value
            if key_node.tag != "tag:yaml.org,2002:str":
                text = f'a key must be a text: put it in quotes, "{key}"'
                self._note(
                    key_node, place, text if isinstance(key, str) else "a key must be a text"
                )
                continue
            here = (*place, key)
            if key in seen:
                text = f"this key stands twice, first in line {seen[key][0]}: remove one"
                self._note(key_node, here, text)
                continue
            seen[key] = self._document.keys[here] = _position(key_node)
            yield key, self._value(value_node, here)

    def _note(self, node: yaml.Node, place: Place, text: str) -> None:
        position = _position(node)
        self._document.problems.append((position, self._document.message(position, place, text)))


def _position(node: yaml.Node) -> Position:
    mark = node.start_mark
    return (mark.line + 1, mark.column + 1)
