"""The program as a person calls it, in this process or in one of its own, and what it wrote.

Everything is read from the files and the output that the contract names; nothing is asked of the
program's own classes.
"""

import contextlib
import io
import json
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from console import main

START_S = int(datetime(2026, 11, 22, 9, tzinfo=UTC).timestamp())
AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0"


@dataclass(frozen=True)
class Ran:
    """One call of the program."""

    code: int
    out: str
    err: str

    @property
    def documents(self):
        return [json.loads(line) for line in self.out.splitlines()]


def run(*args, stdin=b""):
    """Call the program in this process, as `console.main.main` would."""
    out, err = io.BytesIO(), io.BytesIO()
    streams = [io.TextIOWrapper(raw, "utf-8", write_through=True) for raw in (out, err)]
    before = sys.stdin
    sys.stdin = io.TextIOWrapper(io.BytesIO(stdin), "utf-8")
    try:
        with contextlib.redirect_stdout(streams[0]), contextlib.redirect_stderr(streams[1]):
            code = main.run([str(arg) for arg in args])
    finally:
        sys.stdin = before
    return Ran(code, out.getvalue().decode(), err.getvalue().decode())


def command(*args):
    """The words of a process of its own."""
    return [str(Path(sys.executable).parent / "breachline"), *map(str, args)]


def process(*args, env=None, stdin=None):
    """Call the program in a process of its own, to its end."""
    done = subprocess.run(
        command(*args), capture_output=True, timeout=120, check=False, env=env, input=stdin
    )
    return Ran(done.returncode, done.stdout.decode(), done.stderr.decode())


class Result:
    """The folder of a scan, and what the scan said."""

    def __init__(self, folder, ran=None):
        self.ran = ran or Ran(0, "", "")
        self.folder = Path(folder)
        self.summary = json.loads((self.folder / "summary.json").read_bytes())
        self.findings = ndjson(self.folder / "findings.ndjson")
        self.incidents = ndjson(self.folder / "incidents.ndjson")
        self.actions = ndjson(self.folder / "actions.ndjson")
        self.rejects = ndjson(self.folder / "rejects.ndjson")
        counts = self.summary
        total = counts["events"] + sum(counts["rejected"].values()) + counts["duplicate"]
        assert counts["lines"] == total, "lines = events + rejected + duplicate"
        assert len(self.rejects) == sum(counts["rejected"].values())

    @property
    def counts(self):
        """(lines, events, rejected, duplicate)."""
        summary = self.summary
        rejected = sum(summary["rejected"].values())
        return summary["lines"], summary["events"], rejected, summary["duplicate"]

    @property
    def judged(self):
        return {key: n for key, n in self.summary["judged"].items() if key != "by_route"}

    @property
    def open(self):
        return [incident for incident in self.incidents if incident["status"] != "closed"]

    def affected(self, incident):
        return (self.folder / "affected" / f"{incident['id']}.txt").read_text().splitlines()

    @property
    def blocks(self):
        return [action for action in self.actions if action["kind"] == "block_ip"]

    @property
    def passed(self):
        """Addresses that would be blocked."""
        return {action["target"] for action in self.blocks if action["guard"]["verdict"] == "pass"}

    @property
    def actors(self):
        """(type, value) of every actor of every incident and finding."""
        found = {(a["type"], a["value"]) for i in self.incidents for a in i["actors"]}
        return found | {
            (f["breachline"]["actor"]["type"], f["breachline"]["actor"]["value"])
            for f in self.findings
        }

    def judgement(self):
        """What must not depend on how the lines came: findings, and whose data by incident."""
        return (
            sorted(judged(finding) for finding in self.findings),
            sorted((incident["id"], self.affected(incident)) for incident in self.open),
        )


def judged(finding):
    return (
        finding["event"]["id"],
        finding["rule"]["id"],
        finding["breachline"]["actor"]["type"],
        finding["breachline"]["actor"]["value"],
        finding["breachline"]["severity"],
    )


def who(incident):
    return sorted(f"{actor['type']}:{actor['value']}" for actor in incident["actors"])


def ndjson(path):
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def scan(folder, *logs, config=None, out="out", code=0, data="data"):
    """Scan logs in this process; the result. `config` is text or a path."""
    args = ["scan", *logs, "--out", folder / out, "--data-dir", folder / data]
    ran = run(*args, "--config", config_file(folder, config))
    assert (ran.code, "Traceback" in ran.err) == (code, False), ran.err
    return Result(folder / out, ran)


def config_file(folder, config):
    """A configuration's path; an empty one where none is given, so that none is found by chance."""
    if isinstance(config, Path):
        return config
    path = folder / "breachline.yaml"
    path.write_text(config or "{}\n")
    return path


def write(path, lines):
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def nginx(second, ip, target, *, status=200, size=512, user="-", agent=AGENT, method="GET", xff=""):
    """One line as nginx writes `combined`; with `xff` the widely used `main`, which appends it."""
    moment = datetime.fromtimestamp(START_S + int(second), UTC)
    tail = f' "{xff}"' if xff else ""
    return (
        f'{ip} - {user} [{moment:%d/%b/%Y:%H:%M:%S} +0000] "{method} {target} HTTP/1.1" '
        f'{status} {size} "-" "{agent}"{tail}'
    )


def ecs(second, ip, target, *, user="", status=200, size=512, session="", claimed="", **more):
    """One ECS document, as a gateway that authenticated the caller writes it."""
    document = {
        "@timestamp": iso(second),
        "source": {"ip": ip},
        "http": {
            "request": {"method": more.pop("method", "GET")},
            "response": {"status_code": status, "body": {"bytes": size}},
        },
        "url": {"original": target},
        "user_agent": {"original": AGENT},
    }
    if user:
        document["user"] = {"id": user}
    if session:
        document["session"] = {"id": session}
    if claimed:
        document["http"]["request"]["headers"] = {"x-user-id": claimed}
    return json.dumps(document | more)


def flat(second, ip, target, *, status=200, size=512, **more):
    """One line of a JSON log_format."""
    document = {
        "time": iso(second),
        "remote_addr": ip,
        "request_method": "GET",
        "request_uri": target,
        "status": status,
        "body_bytes_sent": size,
        "http_user_agent": AGENT,
    }
    return json.dumps(document | more)


def iso(second):
    moment = datetime.fromtimestamp(START_S + int(second), UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{round(second % 1 * 1000):03d}Z"


def by_time(pairs):
    """Lines of (second, line), in order of time."""
    return [line for _, line in sorted(pairs, key=lambda pair: pair[0])]


def tally(documents, *path):
    """How often each value occurs under a path of keys."""
    found: Counter[str] = Counter()
    for document in documents:
        for key in path:
            document = document[key]  # noqa: PLW2901  one step down
        found[document] += 1
    return found
