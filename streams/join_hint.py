"""Two logs that tell of the same requests, and the line of configuration that would join them.

In: sources, the share of request ids that two of them have in common, how many lines named no
address, and what was counted. Out: a hint, or none.
"""

from collections.abc import Mapping
from pathlib import PurePath

from intake.frames import SourceState
from streams.hints import Hint
from streams.tally import Tally

ENOUGH = 0.1
"""Of one log's latest request ids in another: fewer are somebody who repeats an id."""
_OF_SERVICES = frozenset({"ecs", "json", "logfmt", "spring"})


def join_hint(
    sources: Mapping[str, SourceState],
    alike: Mapping[tuple[str, str], float],
    events: int,
    addressless: int,
) -> Hint | None:
    """The hint for the two logs that have most in common, or for one without any client.

    `addressless`: lines that were rejected for want of an address.
    """
    pairs = [(share, pair) for pair, share in alike.items() if share >= ENOUGH]
    if pairs:
        _, pair = max(pairs)
        # A gateway's format says that it is one; of two others a person knows which it is.
        one, other = sorted((sources[name] for name in pair), key=_rank)
        says = (
            f"{_name(one)} and {_name(other)} have request ids in common: each request is two "
            "events here, and neither has both the client's address and the user."
        )
        return _hint(events, says, one, other)
    unread = [state for state in sources.values() if not state.format]
    read = [state for state in sources.values() if state.format]
    if not (addressless and read and unread):
        return None
    one, other = min(read, key=_rank), min(unread, key=_rank)
    says = (
        f"{addressless:,} lines name no client. If {_name(other)} is of a service behind "
        f"{_name(one)}, the lines of a request can be joined by a request or trace id that both "
        "log."
    )
    return _hint(addressless, says, one, other)


def unjoined_hint(tally: Tally, window_s: float) -> Hint | None:
    """The hint for logs that are to be joined, and of which no two lines were."""
    if tally.joined or not tally.events:
        return None
    gateway, service = (tally.unmatched.get(log, 0) for log in ("gateway", "service"))
    if gateway and service:
        return Hint(
            "join",
            gateway + service,
            f"No line of the gateway's {gateway:,} was joined to one of the services' {service:,}.",
            "a request or trace id that both log; clocks that differ by less than the window of "
            f"{window_s:g} s; paths of which one is the end of the other",
        )
    names = [log for log, count in (("gateway", gateway), ("service", service)) if not count]
    return Hint(
        "join",
        gateway + service,
        f"No log that was read is one of intake.join.{' or intake.join.'.join(names)}: nothing "
        "was joined.",
        f"a pattern of the name of such a log at intake.join.{names[0]}, or that log",
    )


def _hint(events: int, says: str, gateway: SourceState, service: SourceState) -> Hint:
    add = f'intake: {{join: {{gateway: ["{_name(gateway)}"], service: ["{_name(service)}"]}}}}'
    return Hint("join", events, says, f"{add}    # if {_name(gateway)} is the gateway's")


def _name(state: SourceState) -> str:
    return PurePath(state.name).name


def _rank(state: SourceState) -> tuple[bool, str]:
    return state.format in _OF_SERVICES, state.name
