"""`make bench`: lines a second of `scan`, as a ratio of the reference loop in the same run.

Prints NDJSON and nginx, defaults, history on, whole processes; and peak memory with 200,000 active
addresses. The goals of the first issue stand beside the figures.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from benchmarks.traffic import ADDRESSES, write

ROUNDS = 3
_PROGRAM = Path(sys.executable).with_name("breachline")


def _reference(log: Path) -> float:
    command = [sys.executable, "-m", "benchmarks.reference", str(log)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def _scan(log: Path, data_dir: Path) -> tuple[float, float, float]:
    """(lines/s inside scan, lines/s of the whole process, peak MiB)."""
    started = time.perf_counter()
    process = subprocess.Popen(
        [str(_PROGRAM), "scan", str(log), "--json", "--data-dir", str(data_dir)],
        stdout=subprocess.DEVNULL,
    )
    _, status, usage = os.wait4(process.pid, 0)
    elapsed = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"scan of {log} ended with {process.returncode}")
    summary = json.loads((data_dir / "scans" / "last" / "summary.json").read_text())
    lines = summary["lines"]
    return lines / summary["seconds"], lines / elapsed, usage.ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=1_000_000)
    lines = parser.parse_args().lines
    with tempfile.TemporaryDirectory(prefix="breachline-bench-") as name:
        folder = Path(name)
        ndjson, nginx = write(folder, lines)
        size = ndjson.stat().st_size / lines
        print(f"{lines:,} lines, {ADDRESSES:,} addresses, NDJSON of {size:.0f} bytes a line")
        ratios, halves, peaks = [], [], []
        for _ in range(ROUNDS):
            reference = _reference(ndjson)
            inside, whole, peak = _scan(ndjson, folder / "data")
            inside_nginx, whole_nginx, peak_nginx = _scan(nginx, folder / "data")
            ratios.append(whole / reference)
            halves.append(whole_nginx / whole)
            peaks.append(max(peak, peak_nginx))
            print(
                f"  reference {reference:>9,.0f}/s   scan NDJSON {whole:>8,.0f}/s (inside "
                f"{inside:,.0f})   scan nginx {whole_nginx:>8,.0f}/s "
                f"(inside {inside_nginx:,.0f})   peak {peak:.0f} and {peak_nginx:.0f} MiB"
            )
    print(f"NDJSON / reference   {median(ratios):.3f}   goal 0.15")
    print(f"nginx / NDJSON       {median(halves):.3f}   goal 0.5")
    print(f"peak memory          {max(peaks):.0f} MiB   goal under 500")


if __name__ == "__main__":
    main()
