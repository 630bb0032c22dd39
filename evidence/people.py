"""The list of people to notify as text: one id, one line, whatever is in the id.

Ids in, lines out; the same in `affected`, in a scan's result and in the evidence bundle. Two ids
must never become one line, nor one id two people.
"""

import json
from collections.abc import Iterable


def id_lines(users: Iterable[str]) -> list[str]:
    """Each id as one line without its end, sorted and unique.

    An id stands as it is. One that has a line break, a control character or anything else that
    does not show, or that begins with a quotation mark, stands as a JSON string in ASCII: a line
    that begins with a quotation mark is always JSON.
    """
    return sorted({_line(user) for user in users})


def _line(user: str) -> str:
    hidden = not user or not user.isprintable() or user.startswith('"')
    return json.dumps(user) if hidden else user
