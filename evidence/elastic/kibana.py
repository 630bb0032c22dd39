"""Kibana's saved objects: data views, a dashboard, saved searches and ES|QL queries.

Nothing comes in; objects as Kibana's import takes them go out, the same ids each time, so that
importing again replaces. `kibana.ndjson` beside this file is their text; a test keeps it so.
"""

import json
from collections.abc import Sequence
from typing import Any

from evidence.elastic.templates import INCIDENTS

Object = dict[str, Any]

FINDINGS, EVIDENCE, ACTIONS, CASES = (
    "breachline-findings", "breachline-evidence", "breachline-actions", "breachline-cases",
)  # fmt: skip
"""Ids of the data views."""
DASHBOARD = "breachline-overview"

_VIEWS = (
    (FINDINGS, "logs-breachline.finding-*", "Breachline findings"),
    (EVIDENCE, "logs-breachline.evidence-*", "Breachline evidence"),
    (ACTIONS, "logs-breachline.action-*", "Breachline actions"),
    (CASES, INCIDENTS, "Breachline incidents"),
)
_GOING_ON = "breachline.incident.status : (open or investigating or contained)"
_LAYER = "layer"
# What each type looked like when this was written; Kibana brings objects up to its own version.
_CORE_FORM = "8.8.0"
_FORM = {"index-pattern": "8.0.0", "lens": "8.9.0", "search": "8.0.0", "dashboard": "8.9.0"}

_SEARCHES = (
    (
        "breachline-search-incidents", "Incidents", CASES, "",
        """event.id breachline.incident.severity breachline.incident.status
        breachline.incident.breach breachline.incident.affected_count breachline.actors message""",
    ),
    (
        "breachline-search-findings", "Findings", FINDINGS, "",
        """rule.name breachline.severity breachline.confidence breachline.actors
        breachline.affected_count message""",
    ),
    (
        "breachline-search-lines", "Log lines kept as evidence", EVIDENCE,
        'event.action : "captured"',
        "breachline.incident.id breachline.evidence.event log.file.path event.hash event.original",
    ),
    (
        "breachline-search-actions", "Actions and receipts", ACTIONS, "",
        """breachline.action.id event.action breachline.action.target breachline.action.mode
        breachline.action.guard.verdict breachline.receipt.state event.reason""",
    ),
)  # fmt: skip
"""id, title, data view, KQL, columns."""

_QUERIES = (
    (
        "breachline-esql-attackers", "Attackers, by whose data they reached",
        """FROM logs-breachline.finding-*
| MV_EXPAND breachline.actors
| STATS findings = COUNT(*), victims = COUNT_DISTINCT(breachline.victims),
    first = MIN(@timestamp), last = MAX(@timestamp) BY breachline.actors
| SORT victims DESC
| LIMIT 1000""",
    ),
    (
        "breachline-esql-deadlines", "Breaches, by hours left to tell the authority (GDPR art. 33)",
        """FROM breachline-incidents
| WHERE breachline.incident.breach AND breachline.incident.status != "closed"
| EVAL hours_left = DATE_DIFF("hours", NOW(), breachline.incident.clocks.authority_deadline)
| KEEP event.id, message, breachline.incident.affected_count, hours_left
| SORT hours_left
| LIMIT 1000""",
    ),
    (
        "breachline-esql-outcomes", "What was done, and whether it held",
        """FROM logs-breachline.action-*
| STATS kind = MAX(breachline.action.kind), target = MAX(breachline.action.target),
    states = VALUES(breachline.receipt.state), last = MAX(@timestamp) BY breachline.action.id
| SORT last DESC
| LIMIT 1000""",
    ),
    (
        "breachline-esql-readers", "Who read or exported evidence, and why",
        """FROM logs-breachline.evidence-*
| WHERE event.action IN ("read", "export")
| KEEP @timestamp, event.action, user.name, event.reason, breachline.incident.id
| SORT @timestamp DESC
| LIMIT 1000""",
    ),
)  # fmt: skip
"""id, title, ES|QL."""

_PANELS = (
    ("breachline-lens-open", "lens", (0, 0, 12, 6)),
    ("breachline-lens-breaches", "lens", (12, 0, 12, 6)),
    ("breachline-lens-affected", "lens", (24, 0, 12, 6)),
    ("breachline-lens-blocks", "lens", (36, 0, 12, 6)),
    ("breachline-lens-findings", "lens", (0, 6, 24, 12)),
    ("breachline-lens-victims", "lens", (24, 6, 24, 12)),
    ("breachline-lens-attackers", "lens", (0, 18, 24, 14)),
    ("breachline-lens-rules", "lens", (24, 18, 24, 14)),
    ("breachline-search-incidents", "search", (0, 32, 48, 16)),
)
"""id, type, and place on the dashboard: left, top, width, height."""


def objects() -> list[Object]:
    """Every saved object, each after those that it refers to."""
    return [
        *(_view(*one) for one in _VIEWS),
        *(_search(*one) for one in _SEARCHES),
        *(_query(*one) for one in _QUERIES),
        *_charts(),
        _dashboard(),
    ]


def ndjson() -> str:
    """The text that Kibana imports: Stack Management, Saved objects, Import."""
    return "".join(f"{json.dumps(one, sort_keys=True)}\n" for one in objects())


def _charts() -> list[Object]:
    by_victims = _count_of("breachline.victims", "People")
    return [
        _metric("open", "Incidents going on", CASES, _count("Incidents"), _GOING_ON),
        _metric(
            "breaches", "Confirmed breaches", CASES, _count("Breaches"),
            "breachline.incident.breach : true",
        ),
        _metric(
            "affected", "People affected", CASES,
            _number("sum", "breachline.incident.affected_count", "People"),
            'not breachline.incident.status : "closed"',
        ),
        _metric(
            "blocks", "Blocks confirmed in place", ACTIONS,
            _count_of("breachline.action.id", "Blocks"),
            'breachline.receipt.state : "confirmed" and breachline.receipt.read_back : "present"',
        ),
        _over_time(
            "findings", "Findings over time", FINDINGS, _count("Findings"), "breachline.severity"
        ),
        _over_time("victims", "Victims over time", FINDINGS, by_victims, None),
        _table(
            "attackers", "Attackers", FINDINGS, _top("breachline.actors", "Attacker"),
            [by_victims, _count("Findings"), _number("max", "@timestamp", "Last seen", "date")],
        ),
        _table(
            "rules", "Rules", FINDINGS, _top("rule.name", "Rule"), [_count("Findings"), by_victims]
        ),
    ]  # fmt: skip


def _saved(kind: str, name: str, attributes: Object, refers: Sequence[Object] = ()) -> Object:
    return {
        "id": name,
        "type": kind,
        "attributes": attributes,
        "references": list(refers),
        "coreMigrationVersion": _CORE_FORM,
        "typeMigrationVersion": _FORM[kind],
        "managed": False,
    }


def _refers(name: str, kind: str, to: str) -> Object:
    return {"name": name, "type": kind, "id": to}


def _view(name: str, pattern: str, title: str) -> Object:
    attributes = {
        "title": pattern,
        "name": title,
        "timeFieldName": "@timestamp",
        # Before the first document there is no index: the view is there all the same.
        "allowNoIndex": True,
    }
    return _saved("index-pattern", name, attributes)


_INDEX_REF = "kibanaSavedObjectMeta.searchSourceJSON.index"


def _search(name: str, title: str, view: str, kql: str, columns: str) -> Object:
    source = {"query": _kql(kql), "filter": [], "indexRefName": _INDEX_REF}
    attributes = {
        "title": f"[Breachline] {title}",
        "description": "",
        "columns": columns.split(),
        "sort": [["@timestamp", "desc"]],
        "kibanaSavedObjectMeta": {"searchSourceJSON": json.dumps(source)},
    }
    return _saved("search", name, attributes, [_refers(_INDEX_REF, "index-pattern", view)])


def _query(name: str, title: str, esql: str) -> Object:
    attributes = {
        "title": f"[Breachline] {title}",
        "description": "",
        "columns": [],
        "sort": [],
        "isTextBasedQuery": True,
        "kibanaSavedObjectMeta": {
            "searchSourceJSON": json.dumps({"query": {"esql": esql}, "filter": []})
        },
    }
    return _saved("search", name, attributes)


def _kql(text: str) -> Object:
    return {"query": text, "language": "kuery"}


def _number(operation: str, field: str, label: str, data: str = "number") -> Object:
    return {
        "operationType": operation,
        "sourceField": field,
        "label": label,
        "customLabel": True,
        "dataType": data,
        "isBucketed": False,
        "scale": "ratio",
        "params": {"emptyAsNull": False},
    }


def _count(label: str) -> Object:
    return _number("count", "___records___", label)


def _count_of(field: str, label: str) -> Object:
    return _number("unique_count", field, label)


def _top(field: str, label: str) -> Object:
    """The 20 values with the most of the first number."""
    return {
        "operationType": "terms",
        "sourceField": field,
        "label": label,
        "customLabel": True,
        "dataType": "string",
        "isBucketed": True,
        "scale": "ordinal",
        "params": {
            "size": 20,
            "orderBy": {"type": "column", "columnId": "number0"},
            "orderDirection": "desc",
            "otherBucket": False,
            "missingBucket": False,
            "parentFormat": {"id": "terms"},
        },
    }


_TIME: Object = {
    "operationType": "date_histogram",
    "sourceField": "@timestamp",
    "label": "@timestamp",
    "dataType": "date",
    "isBucketed": True,
    "scale": "interval",
    "params": {"interval": "auto", "includeEmptyRows": True, "dropPartials": False},
}


def _metric(name: str, title: str, view: str, number: Object, kql: str) -> Object:
    shown = {"layerId": _LAYER, "layerType": "data", "metricAccessor": "number0"}
    return _lens(name, title, view, "lnsMetric", {"number0": number}, shown, kql)


def _over_time(name: str, title: str, view: str, number: Object, split: str | None) -> Object:
    columns = {"time": _TIME, "number0": number}
    layer = {
        "layerId": _LAYER,
        "layerType": "data",
        "seriesType": "bar_stacked",
        "xAccessor": "time",
        "accessors": ["number0"],
    }
    if split:
        columns = {"split": _top(split, split), **columns}
        layer["splitAccessor"] = "split"
    shown = {
        "preferredSeriesType": "bar_stacked",
        "layers": [layer],
        "legend": {"isVisible": bool(split), "position": "right"},
        "valueLabels": "hide",
        "fittingFunction": "None",
    }
    return _lens(name, title, view, "lnsXY", columns, shown, "")


def _table(name: str, title: str, view: str, rows: Object, numbers: Sequence[Object]) -> Object:
    columns = {"rows": rows, **{f"number{n}": number for n, number in enumerate(numbers)}}
    shown = {
        "layerId": _LAYER,
        "layerType": "data",
        "columns": [{"columnId": column} for column in columns],
    }
    return _lens(name, title, view, "lnsDatatable", columns, shown, "")


def _lens(
    name: str, title: str, view: str, kind: str, columns: Object, shown: Object, kql: str
) -> Object:
    layer = {"columnOrder": list(columns), "columns": columns, "incompleteColumns": {}}
    attributes = {
        "title": f"[Breachline] {title}",
        "description": "",
        "visualizationType": kind,
        "state": {
            "datasourceStates": {"formBased": {"layers": {_LAYER: layer}}},
            "visualization": shown,
            "query": _kql(kql),
            "filters": [],
            "internalReferences": [],
            "adHocDataViews": {},
        },
    }
    ref = _refers(f"indexpattern-datasource-layer-{_LAYER}", "index-pattern", view)
    return _saved("lens", f"breachline-lens-{name}", attributes, [ref])


def _dashboard() -> Object:
    panels, refers = [], []
    for number, (name, kind, (left, top, width, height)) in enumerate(_PANELS, 1):
        index = str(number)
        panels.append(
            {
                "type": kind,
                "panelIndex": index,
                "gridData": {"x": left, "y": top, "w": width, "h": height, "i": index},
                "embeddableConfig": {"enhancements": {}},
                "panelRefName": f"panel_{index}",
            }
        )
        refers.append(_refers(f"{index}:panel_{index}", kind, name))
    attributes = {
        "title": "[Breachline] Incidents, attackers, victims",
        "description": "What goes on, who does it, and whose data they reached.",
        "panelsJSON": json.dumps(panels),
        "optionsJSON": json.dumps({"useMargins": True, "hidePanelTitles": False}),
        "timeRestore": True,
        "timeFrom": "now-30d",
        "timeTo": "now",
        "kibanaSavedObjectMeta": {
            "searchSourceJSON": json.dumps({"query": _kql(""), "filter": []})
        },
    }
    return _saved("dashboard", DASHBOARD, attributes, refers)
