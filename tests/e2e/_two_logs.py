"""One deployment with two logs of each request, neither of which is enough.

nginx knows who called from where, and not who that was; the service knows who it was and whose
order it gave out, and never sees a client. Everybody reads their own orders for longer than the
history that a block needs; then u-66 reads those of others.
"""

import json
from datetime import UTC, datetime, timedelta

START = datetime(2026, 11, 22, 9, tzinfo=UTC)
ATTACKER, ATTACKER_IP = "u-66", "203.0.113.7"
PEOPLE = [f"u-{n:02}" for n in range(10, 22)]
VICTIMS = PEOPLE[:11]
CONFIG = """\
intake:
  log_format:
    nginx: '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent
      "$http_referer" "$http_user_agent" $request_id'
  routes:
    - {match: "/api/v1/orders/{object}", category: orders}
  join: {gateway: [gateway.log], service: ["orders-*.log"], window: 10s}
"""


def request_id(number):
    return f"{number:032x}"


def at_gateway(number, second, path, ip, *, status=200, request=None):
    """A line of nginx, with its newline. `request`: an id that the client chose."""
    at = START + timedelta(seconds=second)
    return (
        f'{ip} - - [{at:%d/%b/%Y:%H:%M:%S} +0000] "GET {path} HTTP/1.1" {status} 512 "-" '
        f'"agent/1" {request or request_id(number)}\n'
    )


def at_service(number, second, path, user, owner, *, status=200, request=None):
    """A line of the service, with its newline."""
    at = START + timedelta(seconds=second)
    document = {
        "@timestamp": f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03}Z",
        "http": {
            "request": {"method": "GET", "id": request or request_id(number)},
            "response": {"status_code": status},
        },
        "url": {"path": path},
        "user": {"id": user},
        "labels": {"resource_owner": owner},
    }
    return json.dumps(document) + "\n"


def requests(minutes=70):
    """(second, path, address, user, owner) of everything that happened, in order."""
    found = []
    for minute in range(minutes):
        for n, user in enumerate(PEOPLE):
            place = f"/api/v1/orders/{1000 + n}"
            found.append((60 * minute + n, place, f"198.51.100.{20 + n}", user, user))
    for n, owner in enumerate(VICTIMS):
        place = f"/api/v1/orders/{1000 + PEOPLE.index(owner)}"
        found.append((60 * minutes + 2 * n, place, ATTACKER_IP, ATTACKER, owner))
    return found


def write(folder, *, skew_s=3.2):
    """gateway.log, orders-1.log and breachline.yaml in `folder`; the paths of both logs.

    The service's clock is behind by `skew_s`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    gateway, service = [], []
    for number, (second, path, ip, user, owner) in enumerate(requests(), start=1):
        gateway.append(at_gateway(number, second, path, ip))
        service.append(at_service(number, second - skew_s, path, user, owner))
    (folder / "breachline.yaml").write_text(CONFIG)
    logs = folder / "gateway.log", folder / "orders-1.log"
    for log, lines in zip(logs, (gateway, service), strict=True):
        log.write_text("".join(lines))
    return logs
