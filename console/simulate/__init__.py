"""A synthetic access log and the truth about it: honest traffic, attacks, whose data was read.

Nothing here uses Breachline's own judging: what an attack disclosed is known from its script.
"""

from console.simulate.plan import KINDS
from console.simulate.run import Truth, simulate

__all__ = ["KINDS", "Truth", "simulate"]
