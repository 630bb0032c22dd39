"""Which sessions are none: app keys that many people send, told by the addresses they come from.

In: (session, address, the user asked about) of requests below a vouched principal. Out: whether
the session is shared. State is kept between restarts, bounded in sessions and in addresses.
"""

from collections.abc import Iterator

import msgspec

SHARED_ADDRESSES = 20
"""A credential that serves more addresses than this, each its own user, is an app key."""
_COUNTED_ADDRESSES = 64
_MAX_SESSIONS = 50_000


class _Use(msgspec.Struct):
    """Where a session was used: its first address, and once there are more, by address."""

    first: str
    by_address: dict[str, tuple[str, int]] = {}
    """Address -> (the one user it asks about or "", requests)."""
    shared: bool = False


class Sessions:
    """Remembers where sessions were used."""

    def __init__(self) -> None:
        self._sessions: dict[str, _Use] = {}
        self._dirty: set[str] = set()

    def is_shared(self, session: str, ip: str, user: str) -> bool:
        """Whether a session is an app key: over 20 addresses, most keeping a user of their own.

        An attacker who carries one session over many addresses does not look so: there, each
        address asks about many users. Counts one request of `ip` about `user`.
        """
        use = self._sessions.get(session)
        if use is None:
            if len(self._sessions) >= _MAX_SESSIONS:
                self._sessions.clear()
                self._dirty.clear()
            self._sessions[session] = _Use(ip)
            self._dirty.add(session)
            return False
        if use.shared or (ip == use.first and not use.by_address):
            return use.shared
        by_address = use.by_address
        before = by_address.get(ip)
        if before is None:
            if len(by_address) < _COUNTED_ADDRESSES:
                by_address[ip] = (user, 1)
                self._dirty.add(session)
            return False
        kept = user if before[0] == user else ""
        by_address[ip] = (kept, before[1] + 1)
        if before == (user, 1) or kept != before[0]:
            self._dirty.add(session)
            if len(by_address) > SHARED_ADDRESSES:
                stable = [user for user, count in by_address.values() if user and count > 1]
                several = len(set(stable)) * 2 > len(stable)
                use.shared = several and len(stable) * 2 > len(by_address)
        return use.shared

    def take_dirty(self) -> list[tuple[str, bytes]]:
        """Sessions whose addresses changed."""
        items = [(key, msgspec.msgpack.encode(self._sessions[key])) for key in sorted(self._dirty)]
        self._dirty.clear()
        return items

    def load(self, items: Iterator[tuple[str, bytes]]) -> None:
        """Restore what `take_dirty` gave."""
        for key, value in items:
            self._sessions[key] = msgspec.msgpack.decode(value, type=_Use)
