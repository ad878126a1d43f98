"""All benchmarks, one after the other: ``make bench``.

python benchmarks/run.py [--quick] [--out FOLDER]

Writes FOLDER/results.json and FOLDER/results.md, which name the machine and the versions.  The exit
status is 1 when a benchmark misses a limit.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

HERE = Path(__file__).resolve().parent
SCRIPTS = (
    "overhead", "torchdiffeq_overhead", "torchsde_overhead", "adaptive", "frontier",
    "exponential_overhead", "compare_overhead", "training", "gradients", "diffusers_overhead",
)  # fmt: skip
PACKAGES = ("sdeplug", "torch", "torchdiffeq", "torchsde", "numpy", "scipy")


def machine() -> dict[str, str]:
    """Where the figures come from."""
    found = {"python": platform.python_version(), "system": platform.platform()}
    found["processors"] = f"{os.cpu_count()} x {_processor()}"
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def run(script: str, quick: bool) -> dict[str, object]:
    """One benchmark: what it prints, how long it takes, whether it keeps its limits."""
    command = [sys.executable, str(HERE / f"{script}.py"), *(["--quick"] if quick else [])]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "100", "NO_COLOR": "1"}
    begin = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    print(done.stdout, flush=True)
    if done.returncode:
        print(done.stderr, file=sys.stderr, flush=True)
    return {
        "benchmark": script,
        "passed": done.returncode == 0,
        "seconds": round(time.perf_counter() - begin, 1),
        "output": done.stdout.splitlines(),
    }


def markdown(where: dict[str, str], results: list[dict[str, object]]) -> str:
    """All results as one page."""
    lines = ["# Benchmarks", "", "| | |", "| --- | --- |"]
    lines += [f"| {name} | {value} |" for name, value in where.items()]
    for each in results:
        word = "within its limits" if each["passed"] else "a limit is missed"
        lines += ["", f"## {each['benchmark']}: {word}", "", "```text", *each["output"], "```"]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer repetitions")
    parser.add_argument("--out", type=Path, default=Path("bench"), help="folder of the results")
    options = parser.parse_args()
    where = machine()
    results = [run(script, options.quick) for script in SCRIPTS]
    options.out.mkdir(parents=True, exist_ok=True)
    plain = {"machine": where, "quick": options.quick, "results": results}
    (options.out / "results.json").write_text(json.dumps(plain, indent=1) + "\n")
    (options.out / "results.md").write_text(markdown(where, results))
    print(f"wrote {options.out / 'results.json'} and {options.out / 'results.md'}")
    if not all(each["passed"] for each in results):
        sys.exit(1)


if __name__ == "__main__":
    main()
