"""A customer who never tires: asks the front for a book again and again, on a new connection each time.

Every two seconds one line says how many requests there were, how many failed, and how long they took.
"""

import json
import os
import signal
import threading
import time
import urllib.request

URL = os.environ.get("URL", "http://front:8080/books/the-quiet-harbour")
RATE = float(os.environ.get("RATE", "5"))  # requests a second
REPORT_SECONDS = 2.0


def log(event, **fields):
    print(json.dumps({"time": time.time(), "service": "load", "event": event, **fields}), flush=True)


def request():
    """Seconds until the whole answer was here; None for a failure."""
    started = time.monotonic()
    try:
        with urllib.request.urlopen(URL, timeout=10) as answer:  # noqa: S310
            answer.read()
    except OSError as error:
        log("error", message=str(error))
        return None
    return time.monotonic() - started


def report(times):
    good = sorted(seconds for seconds in times if seconds is not None)
    middle, slow = (good[len(good) // 2], good[len(good) * 99 // 100]) if good else (0.0, 0.0)
    log(
        "requests",
        count=len(times),
        failed=len(times) - len(good),
        p50_ms=round(middle * 1000, 2),
        p99_ms=round(slow * 1000, 2),
    )


stopping = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: stopping.set())
log("started", url=URL, rate=RATE)
times, reported = [], time.monotonic()
while not stopping.wait(1 / RATE):
    times.append(request())
    if time.monotonic() - reported >= REPORT_SECONDS:
        report(times)
        times, reported = [], time.monotonic()
log("stopped")
