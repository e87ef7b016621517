"""Options of the processes that `up` starts."""

from __future__ import annotations

import argparse
import datetime as dt
from typing import NoReturn

from sidestep.local.errors import UsageError


class Options(argparse.ArgumentParser):
    """A parser whose complaints are ours. Options are written out: no abbreviation is accepted."""

    def __init__(self, command: str, description: str) -> None:
        super().__init__(
            prog=f"sidestep {command}",
            description=description,
            allow_abbrev=False,
            formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        )

    def error(self, message: str) -> NoReturn:
        """Instead of ending the process with 2."""
        raise UsageError(f"{message}; see `{self.prog} --help`")


def duration(text: str) -> dt.timedelta:
    """For `type=`: 24h, 90s, 1500ms."""
    from sidestep.identity.duration import parse_duration

    try:
        return parse_duration(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
