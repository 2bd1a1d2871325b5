"""Where the command `burnish` begins, and `python -m burnish`, which is how torchrun starts it."""

import sys

from burnish.errors import INTERRUPTED


def main() -> None:
    """Run the command line. What it needs takes a moment to load: Ctrl-C is heard then, too."""
    try:
        from burnish.cli.app import main as run

        run()
    except KeyboardInterrupt:
        print("burnish: interrupted", file=sys.stderr)
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()
