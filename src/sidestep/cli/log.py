"""Logs of the processes of the mesh: one line an event on standard error, key by key.

Tracebacks show no local variables: among them may be keys.
"""

from __future__ import annotations


def log_to_standard_error(*, debug: bool = False) -> None:
    """Sets up structlog for this process."""
    import logging
    import sys

    import structlog

    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.format_exc_info,
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.processors.KeyValueRenderer(key_order=["timestamp", "level", "event"]),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG if debug else logging.INFO),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
    )
