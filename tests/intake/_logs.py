"""Two logs of one request for tests of the join, read in the order in which a test names them."""

from intake.halves import half_of
from intake.identity import Caller
from intake.join import Joiner
from intake.line import Parsed
from intake.settings import Join
from records.ids import event_id
from tests.intake._lines import AT

JOIN = Join(gateway=["gateway*.log"], service=["*service.log"])
W3C = "4bf92f3577b34da6a3ce929d0e0e4736"
NOBODY = Caller("", "", "unlogged", "", "", False)


def user(name):
    return Caller(name, "gateway", "known", "", "", False)


class Logs:
    """Two logs, read line by line in the order in which a test names them."""

    def __init__(self, **given):
        self.joiner = Joiner(JOIN, **given)
        self.offsets = {"gw": 0, "svc": 0, "svc2": 0}
        self.now_ms = AT
        self.seen = []

    def read(self, source, request="", at_s=0.0, path="/users/7", *, status=200, method="GET",
             trace="", who="", owners=(), late=False):  # fmt: skip
        gateway = source == "gw"
        parsed = Parsed(
            AT + int(at_s * 1000),
            "198.51.100.7" if gateway else "",
            method,
            path,
            status,
            request_id=request or None,
            trace_id=trace or None,
            owners=owners,
        )
        self.offsets[source] += 1
        half = half_of(
            source,
            self.offsets[source],
            b"line",
            parsed,
            user(who) if who else NOBODY,
            gateway=gateway,
            credentials="",
            late=late,
        )
        self.now_ms = max(self.now_ms, parsed.time_ms)
        return self.keep(self.joiner.take(half, self.now_ms))

    def keep(self, ready):
        found = [
            event_id(one.half.source, one.half.offset)
            + (f"+{event_id(one.service.source, one.service.offset)}" if one.service else "")
            for one in ready
        ]
        self.seen += found
        return found

    def gw(self, *given, **said):
        return self.read("gw", *given, **said)

    def svc(self, *given, **said):
        return self.read("svc", *given, **said)

    def rest(self):
        return self.keep(self.joiner.flush())
