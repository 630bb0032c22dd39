"""Which wrapper and format a source's lines are written in, learned line by line and kept.

Lines of one source in; what stands in them, or `Unreadable`, out. Until a source is sure, each
line is tried in all formats. Then lines of other shapes are rejects, so that nobody slips one in;
but where `SURE` requests were logged in another format (a deployment, a container of several
programs), that is the source's own as well. What is learned MUST depend on the lines alone, never
on how they were cut into frames.
"""

import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import msgspec

from intake.formats._base import NoRequest, Parser, Timeless, clean, discover, is_blank, unreadable
from intake.formats._wrapped import Carried, Unwrapper, is_weak, is_wrapper, layers
from intake.line import Parsed, Unreadable
from intake.settings import Fields, IntakeSettings
from intake.times import parse_time

SURE = 20
"""Lines after which a format counts as the source's own."""
KNOWN = 8
"""Formats of one source that are remembered."""
DENSE, SPARSE = 2_500, 16
"""So many lines are tried in vain in all formats, then one in so many."""
_DENSE_IF_SURE = 64
_UNDERSTOOD = frozenset({"directive", "not_http", "partial"})
_MOST_STRANGE = 64
_UNWRAPPED, _SPECIAL = 0.5, 0.9
_PIECES = "pieces"
_JSON_BEGINS = re.compile(rb"\{|\[[\s{\[\"\]]")

Key = tuple[str, str]
"""Wrapper ("" for bare lines) and format."""


class Written(msgspec.Struct, kw_only=True):
    """How a source is written, as far as it is known. Kept with the source."""

    format: str = ""
    """Format of the line that was understood last; "" while none was."""
    wrapper: str = ""
    """What its lines are carried in: names of wrappers, "" for bare lines."""
    also: list[Key] = msgspec.field(default_factory=list)
    """Others that are its own too, the latest first."""
    understood: int = 0
    """Lines understood, counted up to `SURE`."""
    strange: dict[str, int] = msgspec.field(default_factory=dict)
    """Lines that only this wrapper and format understood, neither of them the source's own."""
    vain: int = 0
    """Lines since the last one that any format understood."""
    memory: dict[str, str] = msgspec.field(default_factory=dict)
    """What parsers and unwrappers must know after a restart, by name."""

    def own(self) -> list[Key]:
        """The wrappers and formats that are its own, the latest first."""
        return [(self.wrapper, self.format), *self.also] if self.format else []


class Formats:
    """The formats that may be found under one configuration; shared by all sources."""

    def __init__(self, settings: IntakeSettings, forced: str = "auto") -> None:
        """Raises ValueError where `forced` is no format."""
        every = discover()
        if forced != "auto" and forced not in every:
            raise ValueError(f"unknown format {forced!r}; known: auto, {', '.join(sorted(every))}")
        self.forced = "" if forced == "auto" else forced
        self._settings = settings
        self._every = {forced: every[forced]} if self.forced else every
        self._configured = _configured(settings)
        self._shared: dict[str, Parser] = {}

    def parser(self, name: str) -> Parser:
        """A parser of one source's lines: its own if it has a memory, else the one of all."""
        if (parse := self._shared.get(name)) is None:
            parse = self._every[name].parser(self._settings)
            if not hasattr(parse, "memory"):
                self._shared[name] = parse
        return parse

    def known(self, key: Key) -> bool:
        """Whether such lines can be read: what was kept may be of another version."""
        wrapper, name = key
        return name in self._every and is_wrapper(wrapper)

    def names(self, *, bare: bool = False) -> Sequence[str]:
        """The formats that may be found; `bare`: those whose lines may look as if carried."""
        return [name for name in self._every if not bare or name in self._configured]

    def score(self, name: str, lines: Sequence[bytes]) -> float:
        """How surely these lines are of this format, as `Format.sniff` has it.

        A shape that the configuration describes is known by its being understood.
        """
        found = self._every[name].sniff(lines)
        if special := self._configured.get(name):
            found = max(found, special * self.count("", name, lines) / len(lines))
        return found

    def count(self, wrapper: str, name: str, lines: Sequence[bytes]) -> int:
        """How many of these lines are understood."""
        parse = SourceLines(self, Written(format=name, wrapper=wrapper)).parser_of((wrapper, name))
        understood = 0
        for line in lines:
            with suppress(Unreadable):
                parse(line)
                understood += 1
        return understood

    def best(self, lines: Sequence[bytes]) -> tuple[Key, int] | None:
        """The wrapper and format that most of these lines (none blank) are written in.

        And how many lines they understand; None where nothing understands any.
        """
        carried: dict[str, list[bytes]] = {}
        for line in lines:
            found = list(layers(line))
            for wrapper, inner in (*found, ("", Carried(line))):
                if not is_blank(inner.line) and (wrapper or _is_bare(found)):
                    carried.setdefault(wrapper, []).append(inner.line)
        if self._configured:
            carried[""] = list(lines)
        scores = [
            (score * len(inner) * (_UNWRAPPED if is_weak(wrapper) else 1), wrapper, name)
            for wrapper, inner in carried.items()
            for name in self._every
            if (score := self.score(name, inner)) > 0
        ]
        # The best is nearly always understood; a few have a shape and no event in it.
        for _, wrapper, name in sorted(scores, reverse=True):
            if understood := self.count(wrapper, name, lines):
                return (wrapper, name), understood
        return None


class _Found(NamedTuple):
    """How a line was understood."""

    key: Key
    parsed: Parsed
    scored: tuple[str, list[bytes]]
    """Its format, and what it was wrapped in taken off."""


class SourceLines:
    """Reads the lines of one source in the formats that are its own, and learns which these are."""

    def __init__(self, formats: Formats, state: Written) -> None:
        self._formats = formats
        self.state = state
        for key in state.own():
            if not formats.known(key):
                # Kept by another version, or before a format was named.
                _disown(state, key)
        self._pieces = set(state.memory.get(_PIECES, "").split())
        self._parsers: dict[str, Any] = {}
        self._unwrappers: dict[str, Unwrapper] = {}
        self._whole: dict[Key, Parser] = {}

    @property
    def parse(self) -> Parser:
        """A function from one line to its `Parsed`, for as long as no line is `refused`."""
        state = self.state
        if state.understood >= SURE and not state.also:
            return self.parser_of((state.wrapper, state.format))
        return self._try

    def refused(self, line: bytes, why: Unreadable) -> bool:
        """Told of a line that `parse` did not understand; whether `parse` is another one now."""
        state = self.state
        if state.understood < SURE or _is_known(why):
            return False
        found = None
        if self._is_tried(_DENSE_IF_SURE):
            with suppress(Unreadable):
                # Half of a record is no reason to believe that requests are logged so.
                found = self._understanding(line, whole=True)
        if found is None:
            return False
        state.vain = 0
        label = ":".join(found.key)
        state.strange[label] = count = state.strange.get(label, 0) + 1
        if count < SURE:
            if len(state.strange) > _MOST_STRANGE:
                state.strange = {label: count}
            return False
        del state.strange[label]
        self._own(found.key)
        return True

    def keep(self) -> None:
        """Put what parsers and unwrappers must know after a restart into the source's state."""
        texts = {name: getattr(parse, "memory", "") for name, parse in self._parsers.items()}
        memory = self.state.memory | texts | {_PIECES: " ".join(sorted(self._pieces))}
        self.state.memory = {name: text for name, text in memory.items() if text}

    def _try(self, line: bytes) -> Parsed:
        """A line in one's own formats; while the source is not sure, in all."""
        state, why = self.state, None
        unsure = state.understood < SURE
        for number, own in enumerate(state.own()):
            key = own
            try:
                parsed = self.parser_of(own)(line)
            except Unreadable as found:
                if _is_known(found):
                    raise
                why = why or found
                continue
            if unsure:
                key, parsed = self._more_special(line, own) or (own, parsed)
                state.understood += 1
                state.vain = 0
            if unsure or number:
                self._own(key)
            return parsed
        if unsure and self._is_tried(DENSE) and (other := self._understanding(line)) is not None:
            self._own(other.key)
            state.understood += 1
            state.vain = 0
            return other.parsed
        raise why or self._reason(line)

    def _more_special(self, line: bytes, own: Key) -> tuple[Key, Parsed] | None:
        """How else a line is understood, if no other format writes that shape.

        One that reads the lines of others too (any JSON) may have come first by chance.
        """
        found = self._understanding(line)
        if found is None or found.key == own or self._formats.score(*found.scored) < 1:
            return None
        return found.key, found.parsed

    def _is_tried(self, dense: int) -> bool:
        """Whether this line is tried in all formats: garbage for hours must not cost hours."""
        state = self.state
        state.vain += 1
        return state.vain <= dense or not state.vain % SPARSE

    def _own(self, key: Key) -> None:
        """Make this the first of the source's own."""
        state = self.state
        others = [known for known in state.own() if known != key]
        state.wrapper, state.format = key
        state.also = others[: KNOWN - 1]

    def _understanding(self, line: bytes, *, whole: bool = False) -> _Found | None:
        """How a line is best understood, and what it says; None if it is not.

        `whole`: only if it says a method and a status.

        Raises:
            Unreadable: a format knows it for no request, or it is a piece of a line.
        """
        carried = [*layers(line)]
        if carried:
            # The rest of a line that was split is nobody's, whatever it looks like.
            self._unwrapper(carried[-1][0])(line)
        carried.reverse()
        strong = [layer for layer in carried if not is_weak(layer[0])]
        weak = [layer for layer in carried if is_weak(layer[0])]
        for wrapper, inner in (*strong, ("", Carried(line)), *weak):
            names = self._formats.names(bare=not wrapper and bool(strong))
            if found := self._read(wrapper, inner, names, whole=whole):
                return found
        return None

    def _read(
        self, wrapper: str, inner: Carried, names: Sequence[str], *, whole: bool
    ) -> _Found | None:
        found: list[tuple[str, Parsed]] = []
        known: Unreadable | None = None
        for name in names:
            try:
                found.append((name, _timed(self._parser(name), inner.line, inner.time)))
            except Unreadable as why:
                known = why if _is_known(why) else known
        if whole:
            found = [(name, parsed) for name, parsed in found if parsed.method and parsed.status]
        best, score = None, 0.0
        if len(found) == 1 and known is None:
            best = found[0]
        elif found:
            # Several can read it: whose shape is it most?
            score, _, best = max(
                (self._formats.score(name, [inner.line]), name, (name, parsed))
                for name, parsed in found
            )
        if known is not None and score < _SPECIAL:
            raise known
        if best is None:
            return None
        return _Found((wrapper, best[0]), best[1], (best[0], [inner.line]))

    def _reason(self, line: bytes) -> Unreadable:
        """Why a line that no format understands was not understood."""
        name = self._formats.forced
        if not name and _JSON_BEGINS.match(clean(line[:64])):
            name = "json"
        for key in self.state.own() or ([("", name)] if name else []):
            try:
                self.parser_of(key)(line)
            except Unreadable as why:
                return why
        return unreadable(line, "not_this_format")

    def parser_of(self, key: Key) -> Parser:
        """The function that reads lines of this wrapper and format, with this source's memory."""
        if (parse := self._whole.get(key)) is None:
            wrapper, name = key
            parse = self._parser(name)
            if wrapper:
                parse = _unwrapping(self._unwrapper(wrapper), parse)
            self._whole[key] = parse
        return parse

    def _parser(self, name: str) -> Parser:
        if (parse := self._parsers.get(name)) is None:
            parse = self._parsers[name] = self._formats.parser(name)
            if hasattr(parse, "memory"):
                parse.memory = self.state.memory.get(name, "")
        return parse

    def _unwrapper(self, wrapper: str) -> Unwrapper:
        if (unwrap := self._unwrappers.get(wrapper)) is None:
            unwrap = self._unwrappers[wrapper] = Unwrapper(wrapper, self._pieces)
        return unwrap


def again(state: Written, settings: IntakeSettings) -> Parser:
    """A function for lines of a source that were understood before, whatever was learned since."""
    memory = {name: text for name, text in state.memory.items() if name != _PIECES}
    unsure = msgspec.structs.replace(state, understood=0, vain=0, memory=memory)
    return SourceLines(Formats(settings), unsure).parse


def _disown(state: Written, key: Key) -> None:
    keys = [known for known in state.own() if known != key]
    (state.wrapper, state.format), *state.also = keys or [("", "")]
    if not keys:
        state.understood = 0


def _unwrapping(unwrap: Unwrapper, parse: Parser) -> Callable[[bytes], Parsed]:
    def unwrapped(line: bytes) -> Parsed:
        return _timed(parse, unwrap(line), unwrap.time)

    return unwrapped


def _timed(parse: Parser, line: bytes, time: str | float | None) -> Parsed:
    """A line that may have no time but its carrier's."""
    try:
        return parse(line)
    except Timeless as found:
        if time is None:
            raise
        found.parsed.time_ms = parse_time(time)
        return found.parsed


def _is_known(why: Unreadable) -> bool:
    """Whether the format gave this reason for a line of its own."""
    return why.reason in _UNDERSTOOD or isinstance(why, NoRequest)


def _is_bare(carried: Sequence[tuple[str, Carried]]) -> bool:
    """Whether a line that may be carried so may be a bare one as well."""
    return all(is_weak(wrapper) for wrapper, _ in carried)


def _configured(settings: IntakeSettings) -> dict[str, float]:
    """How special the formats are that people described themselves."""
    found: dict[str, float] = {}
    if settings.log_format.nginx:
        found["nginx"] = 1.0
    if settings.log_format.apache:
        found["apache"] = 1.0
    if settings.fields != Fields():
        found["json"] = 0.7
    return found
