r"""AWS Application Load Balancer, with as many trailing fields as its year had, and Classic ELB.

A line in, `Parsed` out; TCP lines of a Classic ELB, and those of a network load balancer, are
`not_http`. What clients write stands in quotes and is escaped (\xNN, \"). The logged size counts
the answer's header too, so that only 0 says anything of the body. The time is that of the answer.
Every expression MUST stay linear in the line; fields that come behind those known here are ignored,
as AWS asks.
"""

import re
from collections.abc import Sequence

from intake.formats._base import (
    QUOTED,
    Parser,
    absent,
    clean,
    decode,
    split_request,
    unescape,
    unreadable,
)
from intake.formats._values import trace_id_of
from intake.line import Parsed, Unreadable
from intake.settings import IntakeSettings
from intake.times import parse_time

_PASSED = r'"(?:[^"\\]++|\\.)*+"'
_SECONDS = r"-?\d{1,10}(?:\.\d{1,9})?"
# client, target, status, target's status, bytes, request, agent, trace, actions, redirect
_LINE = re.compile(
    rf"(?:[a-z][a-z0-9]{{1,9}} )?(\d{{4}}-\d\d-\d\dT[^ ]{{8,20}}) [^\s\"]++ "
    rf"(\[[0-9A-Fa-f:.]{{2,45}}+\]|[0-9A-Fa-f:.]{{2,45}}):\d{{1,5}} (\S++) "
    rf"{_SECONDS} {_SECONDS} {_SECONDS} (\d{{3}}|-) (\d{{3}}|-) \d{{1,19}} (\d{{1,19}}) "
    rf"{QUOTED}(?: {QUOTED} [^\s\"]++ [^\s\"]++"
    rf"(?: [^\s\"]++ {QUOTED}(?: {_PASSED} {_PASSED} [^\s\"]++(?: [^\s\"]++"
    rf"(?: {QUOTED}(?: {QUOTED}(?: .*+)?)?)?)?)?)?)?",
    re.ASCII | re.DOTALL,
)
_NETWORK = re.compile(rb"tls \d\.\d \d{4}-\d\d-\d\dT[\d:]{8} net/")
_WITH_MICROSECONDS = 27
_REFUSING = ("waf", "authenticate", "jwt", "fixed-response")
"""How actions begin that answer a request instead of a target."""


def _answered_by(actions: str) -> str | None:
    """The action that refused a request for which no target was asked; None if none did."""
    last = actions.rpartition(",")[2]
    return last if last.startswith(_REFUSING) else None


class AwsAlb:
    """The format of AWS load balancers' access logs."""

    name = "aws-alb"
    examples = (
        (
            b"https 2026-11-22T10:00:00.123456Z app/shop/50dc6c495c0c9188 203.0.113.7:2817 10.0"
            b'.0.1:80 0.001 0.048 0.001 200 200 0 512 "GET https://api.example.com:443/api/user'
            b's/17 HTTP/2.0" "okhttp/4.12.0" ECDHE-RSA-AES128-GCM-SHA256 TLSv1.2 arn:aws:x "Roo'
            b't=1-58337262-36d228ad5d99923122bbe354" "-" "-" 0 2026-11-22T10:00:00.123000Z "for'
            b'ward" "-" "-"'
        ),
    )

    def sniff(self, lines: Sequence[bytes]) -> float:
        """The share with the shape."""
        return sum(_LINE.fullmatch(decode(clean(line))) is not None for line in lines) / len(lines)

    def parser(self, settings: IntakeSettings) -> Parser:
        """See `Format.parser`."""
        del settings  # Nothing in these lines can be configured.
        fullmatch = _LINE.fullmatch

        def parse(line: bytes) -> Parsed:
            if (match := fullmatch(decode(clean(line)))) is None:
                is_network = _NETWORK.match(clean(line)) is not None
                raise unreadable(line, "not_http" if is_network else "not_this_format")
            (
                time, peer, target, status, target_status, size, request, agent, trace, actions,
                redirect,
            ) = match.groups()  # fmt: skip
            if status == "-" and request == "- - - ":
                raise Unreadable("not_http")
            method, path, host = split_request(request)
            parsed = Parsed(
                # Cut to milliseconds, which are read by far the fastest.
                parse_time(f"{time[:23]}Z" if len(time) == _WITH_MICROSECONDS else time),
                peer[1:-1] if peer[0] == "[" else peer,
                method,
                path,
                0 if status == "-" else int(status),
                0 if size == "0" else -1,
                host=host,
                user_agent=absent(unescape(agent)) if agent else None,
                trace_id=trace_id_of(trace) if trace else None,
                location=absent(redirect) if redirect else None,
            )
            # A function is a target without an address, but it has a status.
            if target == target_status == "-" and actions:
                parsed.blocked_by = _answered_by(actions)
            return parsed

        return parse


FORMAT = AwsAlb()
