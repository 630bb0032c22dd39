"""The configuration (CONTRACT 2): found, read, checked as a whole, and frozen.

In: a path or none, an environment, a working directory. Out: `Loaded`, or a `ConfigError` that
holds every problem at once, each with file, line, column, dotted path and what to write instead.
Values that may be secrets are never repeated in a message. `streams/yaml_file.py` reads the text.
"""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from evidence.settings import Capture, Elasticsearch, History, Ledger
from incidents.settings import PolicySettings
from intake.settings import Canaries, IntakeSettings
from intake.settings import Settings as Block
from responders.settings import GatewaySettings
from streams.hostport import HostPort
from streams.kafka.settings import Kafka
from streams.listen.settings import ListenSettings
from streams.owner_url import problem_of
from streams.route_text import route_problem, source_problem
from streams.yaml_file import ConfigError, Document, Place, Position, read_yaml

__all__ = ["ConfigError", "Kafka", "Loaded", "Settings", "load"]

M = TypeVar("M", bound=BaseModel)

RULES: tuple[str, ...] = (
    "header_present", "header_mismatch", "identity_fanout", "cross_user_read", "cross_user_write",
    "denied_burst", "object_enumeration", "parameter_pollution", "context_failure",
    "distributed_fanout", "slow_fanout", "bulk_read", "anomaly", "canary", "unauthenticated_read",
    "principal_switch", "cross_tenant",
)  # fmt: skip
"""Every rule.id that a configuration may name, whether or not this version has it."""


class Respond(PolicySettings):
    """`respond:`: the policy, and the enforcement points."""

    gateway: GatewaySettings | None = None


class Console(Block):
    """`console:` the web page and the API."""

    listen: HostPort = "127.0.0.1:8642"


class Metrics(Block):
    """`metrics:` where Prometheus and health checks ask; a worker also answers without it."""

    listen: HostPort = "127.0.0.1:9108"


class Settings(BaseModel):
    """The whole of breachline.yaml; relative paths are already resolved."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    intake: IntakeSettings = IntakeSettings()
    canaries: Canaries = Canaries()
    detect: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """rule.id -> what differs from the rule's own defaults, as the detector's Settings take it."""
    data_dir: Path = Path("var")
    respond: Respond = Respond()
    kafka: Kafka | None = None
    elasticsearch: Elasticsearch | None = None
    ledger: Ledger = Ledger()
    console: Console = Console()
    metrics: Metrics | None = None
    history: History = History()
    capture: Capture = Capture()
    listen: ListenSettings = ListenSettings()


class Loaded(NamedTuple):
    """A configuration, the file that it came from, and what a person should know about it."""

    settings: Settings
    path: Path | None
    warnings: tuple[str, ...]


def load(path: Path | None, env: Mapping[str, str], cwd: Path) -> Loaded:
    """The configuration: `path`, else $BREACHLINE_CONFIG, else cwd/breachline.yaml, else defaults.

    Relative paths in the file are relative to the file's folder.

    Raises:
        ConfigError: `.problems` has every one of them, in the order of the file.
    """
    named = path or (Path(env["BREACHLINE_CONFIG"]) if env.get("BREACHLINE_CONFIG") else None)
    file = cwd / (named or "breachline.yaml")
    if named is None and not file.exists():
        return Loaded(Settings(data_dir=cwd / "var"), None, ())
    origin = "--config" if path else "BREACHLINE_CONFIG" if named else "found here"
    shown = named or Path("breachline.yaml")
    document = read_yaml(file, f"{shown}", origin)
    problems = list(document.problems)
    warnings: list[str] = []
    if document.data is None:
        warnings.append(f"{shown}: the file is empty; the defaults hold")
    # A block whose lines are all commented out is a block that is not there.
    data = {key: value for key, value in (document.data or {}).items() if value is not None}
    settings = _validated(Settings, data, (), document, problems) or _sound_blocks(data)
    settings = _with_paths_from(settings, file.parent)
    problems += _rule_problems(document, warnings)
    problems += _block_problems(settings, document)
    settings = _with_openapi(settings, document, problems)
    if problems:
        # In the order of the file: people fix from top to bottom.
        raise ConfigError([text for _, text in sorted(problems, key=lambda item: item[0])])
    if "data_dir" not in settings.model_fields_set:
        settings = settings.model_copy(update={"data_dir": cwd / "var"})
    return Loaded(settings, file, tuple(warnings))


_Problems = list[tuple[Position, str]]


def _validated(
    model: type[M], data: object, base: Place, document: Document, problems: _Problems
) -> M | None:
    """The model of `data`, which stands at `base`; or None, and what is wrong in `problems`."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        told: set[Place] = set()
        for item in error.errors(include_url=False):
            place = (*base, *item["loc"])
            if item["type"] != "missing":
                # Without the names of a union's members, each of which has its own complaint.
                place = document.nearest(place)
            if place not in told:
                told.add(place)
                text = _what_to_write(model, dict(item), item["loc"])
                unknown = item["type"] == "extra_forbidden"
                problems.append(document.problem(place, text, key=unknown))
    return None


def _sound_blocks(data: Mapping[str, Any]) -> Settings:
    """What is well-formed by itself, so that its files are still checked in the same run."""
    kept = {}
    for name, value in data.items():
        try:
            Settings.model_validate({name: value})
        except ValidationError:
            continue
        kept[name] = value
    return Settings.model_validate(kept)


def _rule_problems(document: Document, warnings: list[str]) -> _Problems:
    """What is wrong below `detect` and `respond.rules`, each rule by its detector's Settings."""
    if not (document.at(("detect",)) or document.at(("respond", "rules"))):
        return []
    # Here, not above: most configurations change no rule, and need no detector to be loaded.
    from detectors.engine import discover  # noqa: PLC0415

    problems: _Problems = []
    here = {detector.id: detector.Settings for detector in discover()}
    known = sorted({*RULES, *here})
    for section in (("detect",), ("respond", "rules")):
        block = document.at(section)
        if not isinstance(block, dict):
            continue
        for rule, values in block.items():
            place = (*section, rule)
            if rule not in known:
                text = f"there is no rule {rule!r}{_nearest(rule, known)}"
                problems.append(document.problem(place, text, key=True))
            elif rule not in here:
                text = f"rule {rule} is not in this version"
                warnings.append(document.problem(place, text, key=True)[1])
            elif section == ("detect",) and isinstance(values, dict):
                _validated(here[rule], values, place, document, problems)
    return problems


def _block_problems(settings: Settings, document: Document) -> _Problems:
    """What one field alone cannot know: files that must exist, sources that need one kind."""
    problems = [
        document.problem(place, f"{path}: {_missing(path)}")
        for place, path in named_files(settings)
        if not path.is_file()
    ]
    for index, source in enumerate(settings.intake.ownership):
        if sum((source.file is not None, source.http is not None, source.learn)) != 1:
            text = "give exactly one of file, http and learn: true"
            problems.append(document.problem(("intake", "ownership", index), text))
        if source.http is not None and (text := problem_of(source.http)):
            problems.append(document.problem(("intake", "ownership", index, "http"), text))
        if text := source_problem(source.route):
            problems.append(document.problem(("intake", "ownership", index, "route"), text))
        if source.token_env and source.token_file:
            text = "give token_env or token_file, not both"
            problems.append(document.problem(("intake", "ownership", index), text))
    for index, rule in enumerate(settings.intake.routes):
        if text := route_problem(rule.match):
            problems.append(document.problem(("intake", "routes", index, "match"), text))
    sasl = settings.kafka.sasl if settings.kafka else None
    if sasl and bool(sasl.password_env) == bool(sasl.password_file):
        text = "give one of password_env and password_file"
        problems.append(document.problem(("kafka", "sasl"), text))
    return problems


def _with_openapi(settings: Settings, document: Document, problems: _Problems) -> Settings:
    """The settings with the routes of the OpenAPI file that they name, after their own."""
    if (path := settings.intake.openapi) is None or not path.is_file():
        return settings
    # Here, not above: most configurations name none.
    from streams.openapi import read_openapi, with_routes  # noqa: PLC0415

    try:
        intake = with_routes(settings.intake, read_openapi(path))
    except ValueError as error:
        problems.append(document.problem(("intake", "openapi"), str(error)))
        return settings
    return settings.model_copy(update={"intake": intake})


def _missing(path: Path) -> str:
    if path.is_dir():
        return "is a directory: name a file"
    return "no such file: create it, or correct the path (relative to this configuration)"


def named_files(settings: Settings) -> Iterator[tuple[Place, Path]]:
    """(place in the configuration, path) of every file that it reads from."""
    for place, path in _paths(settings, ()):
        if place not in _WRITTEN:
            yield place, path


_WRITTEN: frozenset[Place] = frozenset({("data_dir",), ("ledger", "publish", "file")})


def _paths(value: object, place: Place) -> Iterator[tuple[Place, Path]]:
    if isinstance(value, Path):
        yield place, value
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            if name in value.model_fields_set:
                yield from _paths(getattr(value, name), (*place, name))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _paths(item, (*place, index))


def _with_paths_from(model: M, folder: Path) -> M:
    """The same with every relative path that the file gave taken from `folder`."""

    def moved(value: object) -> object:
        if isinstance(value, Path):
            return folder / value
        if isinstance(value, BaseModel):
            return _with_paths_from(value, folder)
        return [moved(item) for item in value] if isinstance(value, list) else value

    given = {name: moved(getattr(model, name)) for name in model.model_fields_set}
    return model.model_copy(update=given)


_WRITE: Mapping[str, str] = MappingProxyType(
    {
        "bool_type": "write true or false",
        "bool_parsing": "write true or false",
        "int_type": "write a whole number",
        "int_parsing": "write a whole number",
        "int_from_float": "write a whole number",
        "float_type": "write a number",
        "float_parsing": "write a number",
        "list_type": "write a list: [one, two]",
        "dict_type": "write a block of key: value",
        "model_type": "write a block of key: value",
        "path_type": "write the path of a file",
        "missing": "this key is missing; add it",
    }
)


def _what_to_write(model: type[BaseModel], error: dict[str, Any], loc: Place) -> str:
    """One sentence for one of pydantic's errors; the value itself is not repeated."""
    kind = error["type"]
    if kind == "extra_forbidden":
        names = _names_at(model, loc[:-1])
        return f"unknown key {loc[-1]!r}{_nearest(str(loc[-1]), names)}"
    if kind == "literal_error":
        return f"not allowed here: write {error['ctx']['expected']}"
    if kind == "string_type":
        if isinstance(error["input"], bool | int | float):
            return 'YAML reads this as no text: put it in quotes, "..."'
        return "write a text"
    if kind.startswith("date") or "isoformat" in error["msg"]:
        return "write a date or time such as 2027-01-01 or 2027-01-01T12:00:00Z"
    if kind == "value_error":
        text = str(error["ctx"]["error"])
        if "does not appear to be an IPv4 or IPv6" in text or "permitted" in text:
            text += ": write an address or a network such as 10.0.0.0/8"
        return text
    return _WRITE.get(kind) or f"{error['msg']}"


def _nearest(word: str, names: list[str]) -> str:
    begun = [name for name in names if name.startswith(word)]
    if near := begun or get_close_matches(word, names, n=1, cutoff=0.6):
        return f": did you mean {near[0]!r}?"
    return f": write one of {', '.join(names)}" if names else ""


def _names_at(model: type[BaseModel], loc: Place) -> list[str]:
    """The keys that may stand at `loc` below `model`."""
    at: type[BaseModel] | None = model
    for part in loc:
        if at is None:
            return []
        fields = {field.alias or name: field for name, field in at.model_fields.items()}
        if isinstance(part, str) and part in fields:
            at = _model_in(fields[part].annotation)
        # An index, or the name of a union's member, stays within the same model.
    return sorted(field.alias or name for name, field in at.model_fields.items()) if at else []


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The model that a field holds, be it optional, in a list or in a dict."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for inner in getattr(annotation, "__args__", ()):
        if found := _model_in(inner):
            return found
    return None
