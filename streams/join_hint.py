"""Two logs that tell of the same requests, and the line of configuration that would join them.

In: sources and the share of request ids that two of them have in common. Out: a hint, or none.
"""

from collections.abc import Mapping
from pathlib import PurePath

from intake.frames import SourceState
from streams.hints import Hint

ENOUGH = 0.1
"""Of one log's latest request ids in another: fewer are somebody who repeats an id."""
_OF_SERVICES = frozenset({"ecs", "json", "logfmt", "spring"})


def join_hint(
    sources: Mapping[str, SourceState], alike: Mapping[tuple[str, str], float], events: int
) -> Hint | None:
    """The hint for the two logs that have most in common."""
    pairs = [(share, pair) for pair, share in alike.items() if share >= ENOUGH]
    if not pairs:
        return None
    _, pair = max(pairs)
    # A gateway's format says that it is one; of two others a person knows which it is.
    one, other = sorted((sources[name] for name in pair), key=_rank)
    gateway, service = (PurePath(state.name).name for state in (one, other))
    return Hint(
        "join",
        events,
        f"{gateway} and {service} have request ids in common: each request is two events here, "
        "and neither has both the client's address and the user.",
        f'intake: {{join: {{gateway: ["{gateway}"], service: ["{service}"]}}}}    # if '
        f"{gateway} is the gateway's",
    )


def _rank(state: SourceState) -> tuple[bool, str]:
    return state.format in _OF_SERVICES, state.name
