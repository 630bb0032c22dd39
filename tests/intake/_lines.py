"""Parsed lines and a judge for tests: who asks for what, and what became of it."""

import hashlib

from intake.identity import Credentials
from intake.judge import Judge
from intake.line import Parsed
from intake.ownership import Tables
from intake.settings import IntakeSettings

AT = 1_795_341_600_000  # 2026-11-22T10:00:00Z


def digest(text):
    """Stands in for the keyed digest of credentials."""
    return "d-" + hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12]


def get(target, user=None, *, method="GET", status=200, size=512, at_s=0.0, **fields):
    """A line of a gateway that vouches for `user`."""
    fields.setdefault("peer", "192.0.2.7")
    return Parsed(
        time_ms=AT + int(at_s * 1000),
        method=method,
        target=target,
        status=status,
        bytes=size,
        principal=user,
        **fields,
    )


def settings(**intake):
    return IntakeSettings.model_validate(intake)


class Court:
    """A judge with its source's credentials."""

    def __init__(self, *, canaries=(), tables=None, crowd=(), **intake):
        self.judge = Judge(settings(**intake), canaries, tables or Tables(), digest)
        self.credentials = Credentials()
        self.offset = 0
        for user in crowd:
            self.hear(get(f"/users/{user}", user))

    def hear(self, line, *, late=False):
        """(event, signal, exposures) of one line."""
        self.offset += 1
        return self.judge.judge(line, "src", self.offset, self.credentials, late=late)

    def event(self, line):
        return self.hear(line)[0]
