"""An actor as a query over access events: what it answers for, and nothing of its neighbours.

As exposures have it (JUDGEMENT): a vouched principal answers for its requests, without one the
session does, and only without both the address.
"""

from evidence.query.fields import EVENTS
from evidence.query.tree import And, Exists, Is, Network, Node, Not, Or
from evidence.query.values import network
from records.event import Actor
from records.kinds import TRUSTED

_VOUCHED = Or(tuple(Is(EVENTS["breachline.provenance"], word) for word in sorted(TRUSTED)))
_SESSION = EVENTS["breachline.session"]


def actor_query(actor: Actor) -> Node:
    """The events that an actor answers for; of a route, all of it.

    Raises:
        ValueError: the history does not keep what such an actor is known by.
    """
    match actor.type:
        case "principal":
            return And((Is(EVENTS["user.id"], actor.value), _VOUCHED))
        case "session":
            return And((Is(_SESSION, actor.value), Not(_VOUCHED)))
        case "ip":
            mine = Is(EVENTS["source.address"], actor.value)
            return And((mine, Not(_VOUCHED), Not(Exists(_SESSION))))
        case "subnet":
            ours = Network(EVENTS["source.ip"], network(actor.value)[0])
            return And((ours, Not(_VOUCHED), Not(Exists(_SESSION))))
        case "route":
            return Is(EVENTS["breachline.route"], actor.value)
        case kind:
            raise ValueError(
                f"looking back for {actor}: history is kept by address, session, principal and "
                f"route, not by {kind}"
            )
