"""What formats are understood, and what the first lines of a log were understood as, for people.

In: formats, and lines of one log. Out: documents for --json and text. All that a client wrote goes
through the masks of secrets first.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from inspect import getdoc, getmodule
from typing import Any

import msgspec

from console.field_guess import guess
from intake.detection import Formats, SourceLines
from intake.formats._base import Format, discover, is_blank
from intake.formats._wrapped import layers
from intake.frames import Reader, SourceState
from intake.judge import Judge
from intake.line import Parsed, Unreadable
from intake.ownership import Tables
from intake.redact import mask, mask_target
from intake.settings import IntakeSettings
from records.event import AccessEvent
from records.ids import iso
from streams.hints import Hint, Unsaid, hints
from streams.tally import Tally

_SAYS = (
    ("address", ("peer", "forwarded", "forwarded_elements", "client")),
    ("forwarded for", ("forwarded", "forwarded_elements", "client")),
    ("user", ("principal", "asserted")),
    ("session", ("session",)),
    ("token", ("authorization", "jwt_payload")),
    ("claimed user", ("claimed",)),
    ("owner", ("owners",)),
    ("host", ("host",)),
    ("agent", ("user_agent",)),
    ("bytes", ("bytes",)),
    ("request id", ("request_id",)),
    ("trace id", ("trace_id",)),
    ("refused by", ("blocked_by",)),
)
_NO_REQUESTS = frozenset({"no_request", "not_http"})
"""Reasons of lines of a known format that tell of something else."""
_SHOWN_REJECTS, _KEPT, _CUT_BYTES = 2, 50, 4096
MOST_LINES = 20_000
"""So many lines of a log are read at most."""


def formats_documents() -> Iterator[dict[str, Any]]:
    """Every format: its name, what it is, lines of it, and what these say."""
    for name, found in sorted(discover().items()):
        parse = found.parser(IntakeSettings())
        said = [parse(line) for line in found.examples]
        yield {
            "name": name,
            "is": what_it_is(found),
            "examples": [line.decode() for line in found.examples],
            "says": [word for word, fields in _SAYS if any(_has(line, fields) for line in said)],
        }


def what_it_is(found: Format) -> str:
    """The first sentence that the format's module says of itself, without the name."""
    text = getdoc(getmodule(type(found))) or ""
    return text.partition("\n")[0].removesuffix(".")


def _has(line: Parsed, fields: Sequence[str]) -> bool:
    return any(getattr(line, field) not in {None, "", (), -1} for field in fields)


class Look:
    """What the first lines of one log were understood as."""

    def __init__(
        self, settings: IntakeSettings, canaries: Sequence[str], tables: Tables, forced: str
    ) -> None:
        """Raises ValueError where `forced` is no format."""
        # Only whether there is a session is shown, so that no key is needed.
        self._judge = Judge(settings, canaries, tables, _digest)
        self._reader = Reader(settings, self._judge, forced, joins=False)
        self._state = SourceState("log", "log")
        self._proxies_named = bool(settings.trusted_proxies)
        self._formats = Formats(settings, forced)
        self.lines = 0
        self.tally = Tally()
        self.shown: list[dict[str, Any]] = []
        """Lines with their fields, and the first rejects of each reason, in the log's order."""
        self.formats: Counter[str] = Counter()
        """Wrapper and format -> lines."""
        self.rejected: Counter[str] = Counter()
        self.behind_proxies: Counter[str] = Counter()
        """Direct peer -> lines with a forwarding header that nobody believed."""
        self.unknown: list[bytes] = []
        """A few lines that were not understood, out of what carried them."""

    def read(self, offset: int, data: bytes, most: int) -> None:
        """A frame's lines; of those that are understood the first `most` are shown."""
        every = data.split(b"\n")
        self._reader.begin(self._state, every)
        copied = msgspec.msgpack.decode(msgspec.msgpack.encode(self._state), type=SourceState)
        source = SourceLines(self._formats, copied)
        batch = self._reader.read(self._state, offset, data)
        self.tally.add(batch)
        events = {event.offset: event for event in batch.events}
        rejects = {reject.offset: reject for reject in batch.rejects}
        for line in every:
            if not is_blank(line):
                self.lines += 1
                try:
                    parsed = source.parse(line)
                except Unreadable as why:
                    source.refused(line, why)
                    parsed = None
                if (event := events.get(offset)) is not None and parsed is not None:
                    self._event(line, parsed, event, copied, most)
                elif (reject := rejects.get(offset)) is not None:
                    self._reject(line, reject.reason)
            offset += len(line) + 1

    @property
    def understood(self) -> int:
        """Lines that are events."""
        return self.formats.total()

    def _event(
        self, line: bytes, parsed: Parsed, event: AccessEvent, state: SourceState, most: int
    ) -> None:
        self.formats[f"{state.format} in {state.wrapper}" if state.wrapper else state.format] += 1
        named = parsed.forwarded or parsed.forwarded_elements or parsed.client
        if named and parsed.peer and not self._proxies_named:
            self.behind_proxies[event.ip] += 1
        if self.understood <= most:
            self.shown.append(_fields(self.lines, line, parsed, event, state))

    def _reject(self, line: bytes, reason: str) -> None:
        self.rejected[reason] += 1
        if self.rejected[reason] <= _SHOWN_REJECTS:
            text = _text(line)
            self.shown.append({"line": self.lines, "text": text, "rejected": reason})
        if len(self.unknown) < _KEPT:
            carried = [inner.line for _, inner in layers(line)]
            self.unknown.append(carried[-1] if carried else line)

    def hints(self) -> list[Hint]:
        """What could not be known, and the line that would add it."""
        judge, spaces = self._judge, self._judge.spaces
        incomparable = {
            route: (count, spaces.of("principal"), spaces.of(route))
            for route, count in judge.incomparable.items()
        }
        formats = {name.partition(" ")[0] for name in self.formats}
        unsaid = Unsaid(judge.comparison.apart, judge.tenants.seen)
        found = hints(self.tally, formats, incomparable, unsaid)
        return [*self._proxies(), *self._unread(), *found]

    def _proxies(self) -> Iterator[Hint]:
        lines = self.behind_proxies.total()
        if not lines:
            return
        peers = sorted(self.behind_proxies, key=lambda ip: (-self.behind_proxies[ip], ip))[:4]
        yield Hint(
            "client",
            lines,
            f"{lines:,} of {self.tally.events:,} events have a client's address in a header, which "
            "is not believed: any client can write one. They count as requests of the direct peer.",
            f"intake: {{trusted_proxies: [{', '.join(peers)}]}}    # if these are your own proxies",
        )

    def _unread(self) -> Iterator[Hint]:
        lines = self.rejected.total()
        if self.formats or not lines:
            return
        add = guess(self.unknown)
        if not add and self.rejected.keys() <= _NO_REQUESTS:
            yield Hint(
                "format",
                lines,
                f"None of {lines:,} lines tells of an HTTP request.",
                "the access log of your server (of HAProxy: option httplog, in its frontend)",
            )
            return
        yield Hint(
            "format",
            lines,
            f"None of {lines:,} lines is of a format that is known (breachline formats).",
            add
            or "intake: {log_format: {nginx: '$remote_addr ... \"$request\" $status'}}    "
            "# the log_format of your server, or `apache:` and its LogFormat",
        )


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _text(line: bytes, secrets: Sequence[str] = ()) -> str:
    return mask(line[:_CUT_BYTES].decode("utf-8", "backslashreplace"), secrets)


def _fields(
    number: int, line: bytes, parsed: Parsed, event: AccessEvent, state: SourceState
) -> dict[str, Any]:
    named = parsed.forwarded or parsed.forwarded_elements or parsed.client
    return {
        "line": number,
        "text": _text(line, _secrets(parsed)),
        "wrapper": state.wrapper,
        "format": state.format,
        "time": iso(event.time_ms),
        "client": event.ip,
        "client_believed": event.ip_trusted,
        "peer": parsed.peer,
        "forwarded": mask(named) if named else "",
        "principal": event.principal,
        "provenance": event.provenance,
        "authentication": event.authentication,
        "claimed": event.claimed,
        "session": bool(event.session),
        "method": event.method,
        "target": mask_target(parsed.target),
        "route": event.route,
        "targets": list(event.targets),
        "basis": event.basis,
        "object": event.object,
        "tenant": event.tenant,
        "status": event.status,
        "bytes": event.bytes,
        "effect": event.effect,
        "outcome": event.outcome,
        "verdict": event.verdict,
        "allowed": event.allowed,
    }


def _secrets(parsed: Parsed) -> list[str]:
    known = (parsed.session, parsed.authorization, parsed.jwt_payload)
    return [value for value in known if value]
