"""`python -m burnish`, which is also how torchrun starts a training."""

from burnish.cli.app import main

if __name__ == "__main__":
    main()
