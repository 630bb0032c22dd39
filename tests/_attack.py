"""A small log of ordinary people and one who walks through others' wallets; and what is true.

Everybody reads their own data once a minute, for longer than the history that a block needs; then
u-66 reads what is not theirs.
"""

import json
from datetime import UTC, datetime, timedelta

START = datetime(2026, 11, 22, 9, tzinfo=UTC)
START_MS = int(START.timestamp()) * 1000
ATTACKER, ATTACKER_IP = "u-66", "203.0.113.7"
PEOPLE = [f"u-{n:02}" for n in range(10, 22)]
VICTIMS = PEOPLE[:12]
CONFIG = """\
intake:
  routes:
    - {match: "/api/v1/users/{owner}/**", category: contact}
    - {match: "/api/v1/wallets/{owner}/**", category: financial}
    - {match: "/api/v1/orders/{object}", category: orders}
"""


def entry(
    second, user, path, ip="198.51.100.20", *, method="GET", status=200, session=None, start=START
):
    """One line of an ECS log, with its newline."""
    document = {
        "@timestamp": (start + timedelta(seconds=second)).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "source": {"ip": ip},
        "http": {
            "request": {"method": method},
            "response": {"status_code": status, "body": {"bytes": 512}},
        },
        "url": {"original": path},
        "user": {"id": user},
        "session": {"id": session or f"s-{user}"},
        "user_agent": {"original": "agent/1"},
    }
    return json.dumps(document) + "\n"


def ordinary(minutes=70, start=START):
    return [
        entry(
            60 * minute + n,
            user,
            f"/api/v1/users/{user}/profile",
            f"198.51.100.{20 + n}",
            start=start,
        )
        for minute in range(minutes)
        for n, user in enumerate(PEOPLE)
    ]


def walk(victims=VICTIMS, start_s=70 * 60, start=START):
    return [
        entry(start_s + n, ATTACKER, f"/api/v1/wallets/{user}/x", ATTACKER_IP, start=start)
        for n, user in enumerate(victims)
    ]


def as_of_now(now_ms):
    """The whole log, with the walk ending now."""
    now = datetime.fromtimestamp(now_ms / 1000, UTC)
    start = now - timedelta(seconds=70 * 60 + len(VICTIMS))
    return [*ordinary(start=start), *walk(start=start)]


def write(folder, lines=None):
    """access.log and breachline.yaml in `folder`; the log's path."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "breachline.yaml").write_text(CONFIG)
    log = folder / "access.log"
    log.write_text("".join([*ordinary(), *walk()] if lines is None else lines))
    return log
