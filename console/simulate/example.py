"""Writes the bundled example again: `python -m console.simulate.example`.

Out: access.log.gz, breachline.yaml and truth.json in console/example/. Ordinary traffic of twenty
minutes; in the second half one account walks through other people's wallets and profiles.
"""

import shutil
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from console.simulate.run import Truth, simulate

FOLDER = Path(__file__).parents[1] / "example"
FILES = ("access.log.gz", "breachline.yaml", "truth.json")


def write_example(folder: Path) -> Truth:
    """Simulate the example and put its files into `folder`; the same bytes every time."""
    with tempfile.TemporaryDirectory() as scratch:
        truth = simulate(
            Path(scratch),
            seed=7,
            start=datetime(2026, 11, 22, 9, 40, tzinfo=UTC),
            minutes=20,
            lines=6000,
            users=600,
            office_users=120,
            attackers=1,
            attacks=["wallet_walk"],
            attack_after=0.5,
            compress=True,
        )
        folder.mkdir(parents=True, exist_ok=True)
        for name in FILES:
            shutil.copyfile(Path(scratch) / name, folder / name)
    return truth


if __name__ == "__main__":
    write_example(FOLDER)
