"""A log with known attacks, a configuration that blocks, and what a scan of it says: the reference.

The log is of now and lasts as long as it is fed, so that guards that look at the clock (an old
backlog blocks nobody) see the same in every run.
"""

import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from benchmarks._chaos.outcome import Outcome, outcome
from console.simulate.attacks import SCRIPTS
from evidence.keys import load_digest_key
from evidence.settings import Ledger
from evidence.signing import load_signer
from evidence.store import EmbeddedStore
from streams.clock import SystemClock
from streams.settings import Settings, load
from tests._gateway import TOKEN

PROGRAM = Path(sys.executable).with_name("breachline")
SOURCES = 4
SESSION_TIMEOUT_S = 6
_LEAD_S = 10
_WRITTEN_PER_S = 100_000
"""Lines: the first is of the moment at which feeding begins, about."""
TOKEN_ENV = "GATEWAY_TOKEN"
CAMPAIGN_TIMEOUT_S = 1_800


class World:
    """One log as four gateways wrote it, in turn; a folder for everything about it."""

    def __init__(self, folder: Path, lines: int, rate: int, seed: int) -> None:
        """Write the log and cut it; `rate` is the lines a second in its own time too."""
        self.folder = folder
        self.lines = lines
        self.rate = rate
        lead_s = _LEAD_S + lines / _WRITTEN_PER_S
        begin_ms = SystemClock().now_ms() + int(lead_s * 1000)
        begin = datetime.fromtimestamp(begin_ms / 1000, UTC).isoformat(timespec="milliseconds")
        words = ["simulate", "--out", folder / "log", "--lines", lines, "--seed", seed]
        words += ["--hours", f"{lines / rate / 3600:.6f}", "--users", 20_000]
        words += ["--start", begin.replace("+00:00", "Z"), "--attackers", 3 * len(SCRIPTS)]
        for kind in SCRIPTS:
            words += ["--attack", kind]
        _run(words)
        self.parts = [folder / f"gateway-{number}.log" for number in range(SOURCES)]
        self._cut()
        load_digest_key(folder / "key", create=True)
        load_signer(folder / "key", Ledger().origin, create=True)

    def _cut(self) -> None:
        files = [path.open("wb") for path in self.parts]
        with (self.folder / "log" / "access.log").open("rb") as log:
            for number, line in enumerate(log):
                files[number % SOURCES].write(line)
        for file in files:
            file.close()

    def settings(self, home: Path, **more: object) -> Path:
        """A configuration with its own data directory and the one key; the file."""
        shutil.copytree(self.folder / "key" / "keys", home / "data" / "keys", dirs_exist_ok=True)
        given = msgspec.yaml.decode((self.folder / "log" / "breachline.yaml").read_bytes())
        given["respond"]["min_history"] = "1s"
        given["respond"] |= more.pop("respond", {})
        config = home / "breachline.yaml"
        config.write_bytes(msgspec.yaml.encode(given | {"data_dir": str(home / "data")} | more))
        return config

    def reference(self) -> Outcome:
        """What an undisturbed `breachline scan` of the whole log says."""
        home = self.folder / "reference"
        config = self.settings(home)
        _run(
            [
                "scan",
                self.folder / "log" / "access.log",
                "--config",
                config,
                "--out",
                home / "result",
            ]
        )
        summary = msgspec.json.decode((home / "result" / "summary.json").read_bytes())
        with EmbeddedStore.open_readonly(home / "result") as store:
            return outcome(store, settings_of(config), summary["lines"])


def settings_of(config: Path) -> Settings:
    """As every command reads it."""
    return load(config, {TOKEN_ENV: TOKEN}, config.parent).settings


def _run(words: list[object]) -> None:
    done = subprocess.run(
        [str(PROGRAM), *map(str, words)], env=dict(os.environ), check=False,
        capture_output=True, text=True, timeout=CAMPAIGN_TIMEOUT_S,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"breachline {words[0]}: exit {done.returncode}\n{done.stderr[-3000:]}")
