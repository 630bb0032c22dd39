"""Walks judgement/*.json: log lines as servers write them, and what must be said of each.

A case: settings under `intake`, rows of the files that they name, keys of issuers (`jwks`; their
private halves were thrown away), lines that came before (`crowd`, with {n} counted up), and
`lines`, each with what is expected: fields of its event, fields of its `signal`, and `exposed` as
[target or object, certainty]. Where neither stands, neither must be.
"""

import json
from pathlib import Path

import pytest

from intake.frames import Reader, SourceState
from intake.judge import Judge
from intake.jwks import Keys
from intake.ownership import Tables, grants_of, owners_of, people_of
from tests.intake._lines import digest, settings

CASES = sorted(Path(__file__).parent.glob("judgement/*.json"))


def tables_of(case, intake):
    sources = {source.route: source for source in intake.ownership}
    roles = {rule.match: rule.owner for rule in intake.routes}
    return Tables(
        people=people_of(case.get("people", ())),
        owners={
            route: owners_of(rows, sources[route], roles.get(route, ()))
            for route, rows in case.get("owners", {}).items()
        },
        grants=grants_of(case.get("grants", ())),
        verifier=Keys(json.dumps(case["jwks"]).encode()) if "jwks" in case else None,
    )


def text_of(line):
    return (line if isinstance(line, str) else json.dumps(line)).encode()


def crowd_of(case):
    for part in case.get("crowd", ()):
        template = text_of(part["line"]).decode()
        for number in range(*part["n"]):
            yield template.replace("{n}", str(number)).encode()


def fields_of(record, names):
    """Some fields of a record, as JSON has them; None for no record."""
    if record is None:
        return None
    values = {name: getattr(record, name) for name in names}
    return {name: list(v) if isinstance(v, tuple) else v for name, v in values.items()}


def test_there_are_cases():
    assert len(CASES) > 10


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_judgement(path):
    case = json.loads(path.read_text("utf-8"))
    intake = settings(**case.get("intake", {}))
    reader = Reader(
        intake, Judge(intake, case.get("canaries", ()), tables_of(case, intake), digest)
    )
    before, lines = list(crowd_of(case)), [text_of(item["line"]) for item in case["lines"]]
    state = SourceState("golden", path.stem)
    batch = reader.read(state, 0, b"".join(line + b"\n" for line in [*before, *lines]))
    assert (state.format, batch.rejects) == (case["format"], [])
    events = batch.events[len(before) :]
    signals = {signal.event: signal for signal in batch.signals}
    assert len(events) == len(lines)
    for item, event in zip(case["lines"], events, strict=True):
        said = dict(item["expect"])
        signal, exposed = said.pop("signal", None), said.pop("exposed", [])
        got = [[e.target or e.object, e.certainty] for e in batch.exposures if e.event == event.id]
        assert fields_of(event, said) == said, item
        assert fields_of(signals.get(event.id), signal or ()) == signal, item
        assert got == exposed, item
