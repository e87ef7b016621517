"""Shows what happens while something starts: a spinner on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sidestep.local.progress import Event

Listener = Callable[[Event], None]


@contextmanager
def shown() -> Iterator[Listener]:
    """A listener that writes to standard error."""
    if not sys.stderr.isatty():
        yield _plain
        return
    from rich.console import Console
    from rich.markup import escape

    console = Console(stderr=True, highlight=False)
    with console.status("") as status:

        def listen(event: Event) -> None:
            text = escape(event.text)
            if event.kind == "ready":
                status.update("")
                console.print(f"[green]✓[/green] {text}", soft_wrap=True)
            elif event.kind == "warning":
                console.print(f"[yellow]![/yellow] {text}", soft_wrap=True)
            elif event.kind == "count":
                status.update(text)
            elif event.kind == "step":
                status.update(text)
                console.print(f"[dim]·[/dim] {text}", soft_wrap=True)

        yield listen


def to_log(event: Event) -> None:
    """A line with its time."""
    moment = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(event.at))
    sys.stderr.write(f"{moment} {event.kind}: {event.text}\n")
    sys.stderr.flush()


def _plain(event: Event) -> None:
    """A failure is left out: it becomes the command's own error."""
    if event.kind != "failed":
        prefix = "warning: " if event.kind == "warning" else ""
        sys.stderr.write(f"{prefix}{event.text}\n")
        sys.stderr.flush()
