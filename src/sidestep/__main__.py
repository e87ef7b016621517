"""`python -m sidestep` is `sidestep`."""

from sidestep.cli.main import main

main()
