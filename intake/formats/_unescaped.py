r"""Common and combined lines of servers that escape nothing: Reactor Netty, Undertow, Jetty.

Text of a line in; its `Parsed`, or None, out. A quote in a field is the client's then. A target
holds no white space (HTTP/1), and Reactor Netty's lines end in numbers of its own, so that neither
status nor address can be forged; where referer and agent meet is the client's to choose. Linear.
"""

import re

from intake.formats._base import absent, put_basic_user, split_request
from intake.line import Parsed
from intake.times import parse_time

# An address in the second place is the peer, behind a virtual host or X-Forwarded-For. Jetty writes
# IPv6 in brackets.
_BEGIN = (
    r"(\[[\w:.%]{2,64}+\]|[^\s\"\[\]]{1,256}+) (?!(?:\d{1,3}\.){3}|[0-9A-Fa-f]{0,4}:[0-9A-Fa-f:])"
    r"[^\s\",\[\]]{1,64}+(?<!:) ([^\[\"]{1,256}?) \[([^\]]{1,40}+)\] "
    r'"(\S{1,64}+) '
)
_ANSWER = r' HTTP/\d(?:\.\d)?" (\d{3}) (\d{1,19}+|-)'
# The port (before Reactor Netty 1.0) and the time taken.
_NUMBERS = re.compile(rf"{_BEGIN}(.*){_ANSWER}(?: \d{{1,10}}+){{0,2}}(?: ms)?", re.DOTALL)
_COMBINED = re.compile(rf'{_BEGIN}(\S++){_ANSWER} "(.*+)', re.DOTALL)
_TAKEN = re.compile(r"(?: \d{1,10}+(?: ?ms)?)?")


# Java writes months as its locale has them; in East Asia that is their number.
_MONTH = re.compile(r"(\d\d?/)(\d\d?)[\u6708\uc6d4](/)")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def unescaped(text: str, *, vouched: bool) -> Parsed | None:
    """A line in common form, with further numbers, or in combined form; its address unchecked.

    `vouched`: the owner of the log vouches for user names.

    Raises:
        Unreadable: bad_time.
    """
    referer = agent = ""
    if match := _NUMBERS.fullmatch(text):
        peer, user, time, method, target, status, size = match.groups()
    elif match := _COMBINED.fullmatch(text):
        peer, user, time, method, target, status, size, rest = match.groups()
        quoted, quote, taken = rest.rpartition('"')
        referer, between, agent = quoted.partition('" "')
        if not (quote and between and _TAKEN.fullmatch(taken)):
            return None
    else:
        return None
    if not time.isascii():
        time = _MONTH.sub(_month, time)
    method, target, host = split_request(f"{method} {target} HTTP/1.1", escaped=False)
    parsed = Parsed(
        parse_time(time),
        peer,
        method,
        target,
        int(status),
        -1 if size == "-" else int(size),
        host=host,
        user_agent=absent(agent),
        referer=absent(referer),
        logs_principal=vouched,
    )
    if (name := absent(user)) is not None:
        put_basic_user(parsed, name, vouched=vouched)
    return parsed


def _month(match: re.Match[str]) -> str:
    number = int(match[2])
    return f"{match[1]}{_MONTHS[number - 1] if 1 <= number <= 12 else match[2]}{match[3]}"
