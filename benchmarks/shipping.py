"""`python -m benchmarks.shipping`: a million lines of a real rsyslog, the receiver killed thrice.

Prints what was lost, what came again and how many lines a second: by bulk calls (none may be lost)
and by syslog over TCP (what the sockets held at a kill is lost: the protocol has no answer).
"""

import argparse
import tempfile
from pathlib import Path

from tests.stack._rsyslog import BULK, TCP
from tests.stack._shipping import ship

TIMEOUT_S = 1_800


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=1_000_000)
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--only", choices=["bulk", "tcp"])
    asked = parser.parse_args()
    for name, how in (("bulk", BULK), ("tcp", TCP)):
        if asked.only in (None, name):
            with tempfile.TemporaryDirectory(prefix="breachline-shipping-") as folder:
                found = ship(Path(folder), asked.lines, asked.kills, how, TIMEOUT_S)
            print(
                f"{name:4}  {found.sent:,} lines, {asked.kills} kills: {found.lost:,} lost, "
                f"{found.events - found.distinct:,} twice, {found.repeated:,} came again and were "
                f"counted, {found.rejected:,} rejected; sockets held {found.held_bytes:,} bytes; "
                f"{found.sent / found.seconds:,.0f} lines/s",
                flush=True,
            )


if __name__ == "__main__":
    main()
