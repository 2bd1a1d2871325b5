"""Entry point of the command `burnish` and of `python -m burnish`, which torchrun starts."""

import sys

from burnish.errors import INTERRUPTED


def main() -> None:
    """Run the command line; Ctrl-C is handled while its modules are imported, too."""
    try:
        from burnish.cli.app import main as run

        run()
    except KeyboardInterrupt:
        print("burnish: interrupted", file=sys.stderr)
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()
