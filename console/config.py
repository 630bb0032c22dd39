"""What `breachline config check` and `config schema` do, without the printing.

In: a configuration's path. Out: every problem and warning, or the JSON Schema of the whole file
with the settings of every rule of this version. Nothing is changed, nothing outside is reached.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from detectors.engine import discover
from intake.settings import IntakeSettings, ServiceAccount
from records.durations import parse_duration_s
from streams.settings import RULES, ConfigError, Settings, load
from streams.tables import read_tables


class Checked(NamedTuple):
    """The answer of `config check`: usable if there are no problems."""

    path: Path | None
    """The file that was checked; None where the defaults hold."""
    problems: tuple[str, ...]
    warnings: tuple[str, ...]


def check(path: Path | None, env: Mapping[str, str], cwd: Path) -> Checked:
    """Everything that is wrong with a configuration and the files that it names."""
    try:
        loaded = load(path, env, cwd)
    except ConfigError as error:
        return Checked(path, tuple(error.problems), ())
    intake = loaded.settings.intake
    return Checked(loaded.path, tuple(_file_problems(intake)), loaded.warnings)


def _file_problems(settings: IntakeSettings) -> Iterator[str]:
    # One file at a time, so that the first wrong one does not hide the others.
    parts: list[dict[str, Any]] = [
        {"identities": settings.identities},
        {"grants": settings.grants},
        {"jwt": settings.jwt},
    ]
    parts += [{"ownership": [source], "routes": settings.routes} for source in settings.ownership]
    for part in parts:
        try:
            read_tables(IntakeSettings.model_construct(**part))
        except ValueError as error:
            yield str(error)


class _Schema(GenerateJsonSchema):
    """JSON Schema that knows how people write durations."""

    def function_before_schema(
        self, schema: core_schema.BeforeValidatorFunctionSchema
    ) -> JsonSchemaValue:
        """A duration is a number of seconds, or 30s, 5m, 1h, 7d."""
        plain = super().function_before_schema(schema)
        if schema["function"]["function"] is not parse_duration_s:
            return plain
        return {"anyOf": [plain, {"type": "string", "pattern": r"^\s*\d+(\.\d+)?\s*[smhdw]?\s*$"}]}


def schema() -> dict[str, Any]:
    """JSON Schema of breachline.yaml; every known rule, with its settings where this has them."""
    whole = Settings.model_json_schema(schema_generator=_Schema)
    whole["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    whole["title"] = "breachline.yaml"
    rules: dict[str, Any] = {rule: {"type": "object"} for rule in RULES}
    for detector in discover():
        own = detector.Settings.model_json_schema(schema_generator=_Schema)
        whole["$defs"].update(own.pop("$defs", {}))
        rules[detector.id] = own
    whole["properties"]["detect"] = {
        "type": "object",
        "properties": rules,
        "additionalProperties": False,
    }
    accounts = whole["$defs"][IntakeSettings.__name__]["properties"]["service_accounts"]
    reference = {"$ref": f"#/$defs/{ServiceAccount.__name__}"}
    accounts["items"] = {"anyOf": [{"type": "string"}, reference]}
    return whole
