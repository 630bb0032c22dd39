"""Amazon API Gateway: access logs in the JSON and the common log format of AWS's examples.

A line in, `Parsed` out. Names of JSON are the owner's choice: AWS's examples, and the variables of
$context. What an authorizer said of the caller is vouched for by the gateway. A resource path is a
template (`/users/{id}`): where only it is logged, it MUST name nobody.
"""

import re
from collections.abc import Sequence
from functools import partial

from intake.formats._base import Parser, clean, decode, is_object, json_or_text, unreadable
from intake.formats._record import Record, RecordReader
from intake.formats._sniffing import marked_share
from intake.line import Parsed
from intake.settings import IntakeSettings
from intake.times import parse_time

_PRINCIPALS = """
    authorizer.claims.sub authorizer.jwt.claims.sub authorizer.principalid authorizer.sub
    authorizer.userid claims.sub authorizerclaimssub authorizerjwtclaimssub authorizerprincipalid
    authorizersub authorizeruserid claimssub cognitosub principalid sub
""".split()
"""Only an authorizer can have said these, in whatever way the owner spelled them."""
# Best first. IAM's caller and user are set on IAM's routes alone: elsewhere nobody is anonymous.
NAMES = (
    ("requesttimeepoch", "time_ms"),
    ("requesttime", "time_ms"),
    ("ip", "peer"),
    ("sourceip", "peer"),
    ("identity.sourceip", "peer"),
    ("identitysourceip", "peer"),
    ("httpmethod", "method"),
    ("http.method", "method"),
    ("path", "target"),
    ("http.path", "target"),
    ("resourcepath", "uri"),
    ("routekey", "request"),
    ("status", "status"),
    ("responselength", "bytes"),
    ("domainname", "host"),
    ("identity.useragent", "user_agent"),
    ("requestid", "request_id"),
    ("extendedrequestid", "request_id"),
    ("integrationstatus", "upstream_status"),
    ("integration.status", "upstream_status"),
    ("integration.integrationstatus", "upstream_status"),
    ("xraytraceid", "trace"),
    ("error.responsetype", "blocked_by"),
    ("errorresponsetype", "blocked_by"),
    ("wafresponsecode", "blocked_by"),
    *((path, "place") for path in _PRINCIPALS),
    *((path, "principal") for path in _PRINCIPALS),
    ("user", "asserted"),
    ("caller", "asserted"),
    ("identity.user", "asserted"),
    ("identity.caller", "asserted"),
)
_OWN = re.compile(
    rb'"(resourcePath|routeKey|extendedRequestId|requestTimeEpoch|apiId|httpMethod)"\s*+:'
    rb'|"(requestTime)"\s*+:\s*+"\d\d/[A-Z]'
)
_REFUSALS = frozenset(
    """
    ACCESS_DENIED EXPIRED_TOKEN INVALID_API_KEY INVALID_SIGNATURE MISSING_AUTHENTICATION_TOKEN
    QUOTA_EXCEEDED THROTTLED UNAUTHORIZED WAF_FILTERED WAF_BLOCK WAF_CAPTCHA WAF_CHALLENGE
    """.split()
)
"""Answers of the gateway's own after which no integration is called."""

# peer, caller, user, time, request, status, bytes, request id, extended request id. AWS's example
# for REST has no space before the request.
_LINE = re.compile(
    r"([0-9A-Fa-f.:]{2,45}+) (\S{1,300}+) (\S{1,300}+) \[([^\]]{1,40}+)\] ?"
    r'"([^"]*+)" (\d{3}|-) (\d{1,19}+|-) ([\w-]{8,100}+={0,2}+)(?: ([\w-]{8,100}+={0,2}+|-))?',
    re.ASCII,
)
# GET GET /users/{id} HTTP/1.1 of an HTTP API: the route's key has a method of its own.
_ROUTE_KEY = re.compile(r"(?:[A-Z]{3,10} (?:[A-Z]{3,10} /|\$default )|.*\{)")
_PLAIN_SCORE = 0.8


def _finish(parsed: Parsed, _record: Record) -> None:
    if parsed.blocked_by is not None and parsed.blocked_by.upper() not in _REFUSALS:
        parsed.blocked_by = None


def _parse_text(line: bytes, *, vouched: bool) -> Parsed:
    if (match := _LINE.fullmatch(decode(clean(line)))) is None:
        raise unreadable(line, "not_this_format")
    peer, caller, user, time, request, status, size, request_id, _ = match.groups()
    method, target = _split(request)
    parsed = Parsed(
        parse_time(time),
        peer,
        method,
        target,
        0 if status == "-" else int(status),
        -1 if size == "-" else int(size),
        request_id=request_id,
        logs_principal=vouched,
    )
    name = user if user != "-" else caller
    if name != "-":
        if vouched:
            parsed.principal = name
        else:
            parsed.asserted = name
    return parsed


def _split(request: str) -> tuple[str, str]:
    """(method, target) of a method, a resource or a route's key, and a protocol."""
    method, _, rest = request.partition(" ")
    resource, _, _ = rest.rpartition(" ")
    target = resource[resource.find("/") :] if "/" in resource else ""
    return ("" if method == "-" else method.upper()), target


class AwsApiGateway:
    """The format of API Gateway's access logs."""

    name = "aws-apigateway"
    examples = (
        (
            b'{"requestId":"6b29fc40-ca47-4067-b31d-00dd01066001","ip":"203.0.113.7","caller":"'
            b'-","user":"-","requestTime":"22/Nov/2026:10:00:00 +0000","httpMethod":"GET","path'
            b'":"/users/17","resourcePath":"/users/{id}","status":"200","protocol":"HTTP/1.1","'
            b'responseLength":"512","authorizerPrincipalId":"17"}'
        ),
        (
            b'203.0.113.7 - - [22/Nov/2026:10:00:00 +0000] "GET /users/{id} HTTP/1.1" 200 512 6'
            b"b29fc40-ca47-4067-b31d-00dd01066001"
        ),
    )

    def sniff(self, lines: Sequence[bytes]) -> float:
        """The share understood; 0.8 of it where a common log may as well be another server's."""
        texts = [match for line in lines if (match := _LINE.fullmatch(decode(clean(line))))]
        own = any(_is_own(match) for match in texts)
        share = len(texts) / len(lines) * (1 if own else _PLAIN_SCORE)
        return share + marked_share(lines, _is_marked, self.parser)

    def parser(self, settings: IntakeSettings) -> Parser:
        """See `Format.parser`."""
        read = RecordReader(settings, NAMES, finish=_finish).parser()
        read_text = partial(_parse_text, vouched=settings.trust.principal == "gateway")
        return json_or_text(read, read_text)


def _is_own(match: re.Match[str]) -> bool:
    """Whether no other server writes this: a template, a route's key, two ids, two names."""
    caller, user, request, last = match[2], match[3], match[5], match[9] or match[8]
    named = caller != "-" and user != "-"
    return named or last.endswith("=") or _ROUTE_KEY.match(request) is not None


def _is_marked(line: bytes) -> bool:
    return is_object(line) and len(set(_OWN.findall(line))) >= 2


FORMAT = AwsApiGateway()
