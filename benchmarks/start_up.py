"""Start-up time of the command line, and of `import burnish`.

python benchmarks/start_up.py --json benchmarks/results/start_up.json
"""

import argparse
import dataclasses
import subprocess
import sys
from pathlib import Path

from measure import environment, timed, write

COMMANDS = {
    "python -c pass": ["-c", "pass"],
    "import burnish": ["-c", "import burnish"],
    "burnish --version": ["-m", "burnish", "--version"],
    "burnish --help": ["-m", "burnish", "--help"],
    "burnish apply --help": ["-m", "burnish", "apply", "--help"],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=21)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    results = {"environment": environment(), "rows": {}}
    for name, arguments in COMMANDS.items():
        command = [sys.executable, *arguments]
        timing = timed(
            lambda c=command: subprocess.run(c, check=True, stdout=subprocess.DEVNULL),
            options.repeats,
        )
        print(f"{name:22} {1000 * timing.wall:5.0f} ms ± {1000 * timing.wall_spread:.0f}")
        results["rows"][name] = dataclasses.asdict(timing)
    write(options.json, results)


if __name__ == "__main__":
    main()
