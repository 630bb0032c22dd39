"""Runs every detector of this room over signals: finds them, feeds them, fences those that fail.

Signals in, findings out, in the order of the signals; state in and out as bytes by (space, key).
It reads no clock but the stopwatch that it is given, starts no thread, and MUST NOT let one
detector's fault reach another.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple, Self

import msgspec
from pydantic import ValidationError

from detectors._base import Detector, DetectorSettings
from detectors._state import LATENESS_S, KeyedState, KeyState
from records.event import Signal
from records.finding import Finding
from records.kinds import Key

MAX_KEYS = 200_000


def discover() -> list[type[Detector[Any]]]:
    """The detectors of this room, by id: one a file whose name is its `id`."""
    found = []
    for file in sorted(Path(__file__).parent.glob("*.py")):
        if file.stem.startswith("_") or file.stem == "engine":
            continue
        module = import_module(f"detectors.{file.stem}")
        found += [
            value
            for value in vars(module).values()
            if isinstance(value, type)
            and issubclass(value, Detector)
            and value.__module__ == module.__name__
        ]
    return found


class Fault(msgspec.Struct):
    """A detector that raised."""

    count: int = 0
    message: str = ""
    """The last error, and the event at which it came."""


class _Watch(NamedTuple):
    detector: Detector[Any]
    kept: KeyedState[Any]
    nets: Detector[Any] | None
    """The same rule by IPv6 /64, with its state beside the addresses'; see `_base.py`."""


class Engine:
    """All enabled detectors and their state."""

    def __init__(
        self,
        settings: Mapping[str, Mapping[str, object] | DetectorSettings] | None = None,
        *,
        detectors: Sequence[type[Detector[Any]]] | None = None,
        max_keys: int = MAX_KEYS,
        tracking: bool = True,
    ) -> None:
        """`settings` as under `detect:`; `tracking` False for a caller that takes no snapshots.

        Raises:
            ValueError: an unknown rule, or settings that a rule does not take; says which.
        """
        kinds = {kind.id: kind for kind in (discover() if detectors is None else detectors)}
        settings = settings or {}
        if unknown := sorted(settings.keys() - kinds.keys()):
            raise ValueError(f"detect: no rule {', '.join(unknown)}; rules: {', '.join(kinds)}")
        self.faults: dict[str, Fault] = {}
        self.seconds: dict[str, float] = {}
        """By rule, how long it took so far, as `stopwatch` measures it."""
        self.stopwatch: Callable[[], float] = _stands_still
        """What tells the seconds; a caller that wants to know gives one."""
        self._counted: Counter[str] = Counter()
        self._watches: list[_Watch] = []
        for rule, kind in kinds.items():
            detector = kind(validated(kind, settings.get(rule, {})))
            if detector.settings.enabled:
                kept: KeyedState[KeyState] = KeyedState(
                    kind.State,
                    retention_s=detector.retention_s,
                    window_s=detector.window_s,
                    max_keys=max_keys,
                    tracking=tracking,
                )
                self._watches.append(_Watch(detector, kept, _by_net(detector)))
                self.seconds[rule] = 0.0

    @classmethod
    def configured(
        cls, detect: Mapping[str, Mapping[str, object]], *, tracking: bool = True
    ) -> Self:
        """Of `detect:` as a configuration has it: rules of a later version are left out.

        Whoever read the configuration has warned of them.
        """
        here = {kind.id for kind in discover()}
        return cls({rule: it for rule, it in detect.items() if rule in here}, tracking=tracking)

    def kinds(self, signal: Signal) -> set[Key]:
        """The key kinds under which `observe` would show a signal to anybody."""
        if signal.late or signal.outcome == "ignored":
            return set()
        seen = [
            (detector.key, nets) for detector, _, nets in self._watches if detector.sees(signal)
        ]
        kinds = {key for key, _ in seen}
        if any(nets and _net_of(nets, signal) for _, nets in seen):
            kinds.add(Key.SUBNET)
        return kinds

    def observe(self, signals: Iterable[Signal], key: Key | None = None) -> list[Finding]:
        """Every enabled detector over every signal, in order.

        With `key`, only the detectors whose state is kept under it: for signals partitioned so.
        """
        shown = []
        for signal in signals:
            if signal.late or signal.outcome == "ignored":
                self._counted["late" if signal.late else "ignored"] += 1
            else:
                shown.append(signal)
        found: list[tuple[int, Finding]] = []
        at_s = self.stopwatch()
        has_nets = any(":" in signal.ip for signal in shown)
        for detector, kept, nets in self._watches if shown else ():
            if key in (None, detector.key):
                self._show(detector, kept, shown, found)
            if nets and has_nets and key in (None, Key.SUBNET):
                self._show(nets, kept, shown, found)
            begun_s, at_s = at_s, self.stopwatch()
            self.seconds[detector.id] += at_s - begun_s
        # By signal, and stable: those of one signal stay in the order of the rules.
        found.sort(key=_number)
        return [finding for _, finding in found]

    def _show(
        self,
        detector: Detector[Any],
        kept: KeyedState[Any],
        signals: Sequence[Signal],
        found: list[tuple[int, Finding]],
    ) -> None:
        """One detector over all signals: what it finds, with the number of the signal."""
        sees, observe, kind = detector.sees, detector.observe, detector.by
        by_address, by_net = kind is Key.ADDRESS, kind is Key.SUBNET
        for number, signal in enumerate(signals):
            try:
                if (by_net and ":" not in signal.ip) or not sees(signal):
                    continue
                if by_net:
                    value = _net_of(detector, signal)
                else:
                    value = signal.ip if by_address else signal.key(kind)
                if not value:
                    continue
                second = signal.time_ms // 1000
                state = kept.borrow(value, second)
                if second < state.last_s - LATENESS_S:
                    self._counted["late"] += not by_net
                    continue
                state.last_s = max(second, state.last_s)
                if signal.verdict == "foreign":
                    state.foreign_s = state.last_s
                new = list(observe(value, signal, state))
                kept.put(value, state)
            except Exception as error:  # noqa: BLE001  a detector's bug, fenced off here
                self._fault(detector.id, signal, error)
            else:
                if new:
                    found += [(number, finding) for finding in new]

    @property
    def counters(self) -> dict[str, int]:
        """How often: late, ignored, evicted, expired, unreadable (state of another version)."""
        counted = Counter(late=0, ignored=0, evicted=0, expired=0, unreadable=0)
        counted.update(self._counted)
        for _, kept, _ in self._watches:
            counted.update(evicted=kept.evicted, expired=kept.expired, unreadable=kept.unreadable)
        return dict(counted)

    @property
    def keys(self) -> dict[str, int]:
        """How many keys each detector holds."""
        return {detector.id: len(kept) for detector, kept, _ in self._watches}

    @property
    def evicted(self) -> dict[str, int]:
        """How many keys each detector has forgotten for want of room."""
        return {detector.id: kept.evicted for detector, kept, _ in self._watches}

    def take_dirty(self) -> list[tuple[str, str, bytes]]:
        """(space, key, value) of what changed since the last call; an empty value: it left."""
        return [
            (detector.id, key, value)
            for detector, kept, _ in self._watches
            for key, value in kept.take_dirty()
        ]

    def load(self, items: Iterable[tuple[str, str, bytes]]) -> None:
        """Takes back what `take_dirty` gave; values of rules that do not run are passed over."""
        spaces = {detector.id: kept for detector, kept, _ in self._watches}
        for space, key, value in items:
            if space in spaces:
                spaces[space].load([(key, value)])

    def _fault(self, rule: str, signal: Signal, error: Exception) -> None:
        fault = self.faults.setdefault(rule, Fault())
        fault.count += 1
        fault.message = f"judging {signal.event}: {type(error).__name__}: {error}"


def _by_net(detector: Detector[Any]) -> Detector[Any] | None:
    """A rule once more by IPv6 /64, if addresses are what it is kept by."""
    if detector.key not in (Key.ADDRESS, Key.ACTOR):
        return None
    nets = type(detector)(detector.settings)
    nets.by = Key.SUBNET
    return nets


def _net_of(nets: Detector[Any], signal: Signal) -> str:
    """The key of a signal's IPv6 /64; "" where another than its address answers for it.

    No address begins with a space, whatever a client wrote into a header.
    """
    if ":" not in signal.ip or not signal.subnet:
        return ""
    if nets.key is Key.ACTOR and signal.actor.type != "ip":
        return ""
    return f" {signal.subnet}"


def _stands_still() -> float:
    return 0.0


def _number(found: tuple[int, Finding]) -> int:
    return found[0]


def validated(
    kind: type[Detector[Any]], settings: Mapping[str, object] | DetectorSettings
) -> DetectorSettings:
    """A rule's settings.

    Raises:
        ValueError: names the rule and each field that is wrong.
    """
    if isinstance(settings, DetectorSettings):
        return settings
    try:
        return kind.Settings.model_validate(settings)
    except ValidationError as error:
        wrong = "; ".join(
            f"detect.{kind.id}.{'.'.join(str(part) for part in item['loc'])}: {item['msg']}"
            for item in error.errors()
        )
        raise ValueError(wrong) from None
