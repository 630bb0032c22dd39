"""Which issuer's subjects are the users that paths name, where the configuration does not say.

In: issuer and subject of each token of a source, in the order of its lines. Out: whether an issuer
is the home issuer. Two runs over the same source agree: only what it says, and in which order,
counts. The same subject of two issuers is two people.
"""

import msgspec

_SETTLED_SUBJECTS = 50
_SETTLED_SHARE = 0.8
_MOST = 200
_LONGEST = 256


class Issuers(msgspec.Struct):
    """Distinct subjects by issuer until most are clearly of one; kept with the source's state.

    Distinct subjects, not lines: one client that repeats itself proves nothing. A client can write
    tokens, so once one was verified or vouched for, the others no longer count.
    """

    home: str = ""
    """The home issuer, once it is settled."""
    settled: bool = False
    vouched: bool = False
    subjects: dict[str, list[str]] = msgspec.field(default_factory=dict)

    def note(self, issuer: str, subject: str, *, vouched: bool) -> None:
        """Take account of one token that names an issuer."""
        if self.settled or (self.vouched and not vouched):
            return
        if vouched and not self.vouched:
            self.vouched = True
            self.subjects.clear()
        if len(issuer) > _LONGEST or len(subject) > _LONGEST:
            return
        known = self.subjects.setdefault(issuer, [])
        if subject in known:
            return
        known.append(subject)
        counts = {name: len(found) for name, found in self.subjects.items()}
        total = sum(counts.values())
        most = max(counts, key=counts.__getitem__)
        self.home = most if counts[most] * 2 > total else ""
        clear = total >= _SETTLED_SUBJECTS and counts[most] >= _SETTLED_SHARE * total
        if clear or total >= _MOST:
            self.settled = True
            self.subjects.clear()
