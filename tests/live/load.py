"""A client that makes one HTTP request after the other, each on a new connection, at a steady rate.

    python load.py URL[,URL…] RATE SECONDS

Prints one JSON line at the end: how many it made, which failed, and the longest time without a success.
"""

import concurrent.futures
import http.client
import itertools
import json
import sys
import time
import urllib.parse

TIMEOUT = 15


def request(url: urllib.parse.ParseResult) -> tuple[float, float, str]:
    """(when it began, when it ended, why it failed)"""
    started = time.time()
    try:
        connection = http.client.HTTPConnection(url.hostname or "", url.port or 80, timeout=TIMEOUT)
        connection.request("GET", url.path or "/")
        status = connection.getresponse().status
        connection.close()
    except OSError as error:
        return started, time.time(), repr(error)
    except http.client.HTTPException as error:
        return started, time.time(), repr(error)
    return started, time.time(), "" if status == 200 else f"status {status}"


def main() -> None:
    urls = [urllib.parse.urlparse(url) for url in sys.argv[1].split(",")]
    rate, seconds = float(sys.argv[2]), float(sys.argv[3])
    begin = time.monotonic()
    futures = []
    with concurrent.futures.ThreadPoolExecutor(128) as pool:
        for number in range(int(rate * seconds)):
            delay = begin + number / rate - time.monotonic()
            if delay > 0:
                time.sleep(delay)
            futures.append(pool.submit(request, urls[number % len(urls)]))
        results = sorted(future.result() for future in futures)
    failed = [(round(started - results[0][0], 3), reason) for started, _, reason in results if reason]
    ends = sorted(ended for _, ended, reason in results if not reason)
    gap = max((later - earlier for earlier, later in itertools.pairwise(ends)), default=seconds)
    print(
        json.dumps(
            {
                "requests": len(results),
                "failed": len(failed),
                "first_failures": failed[:5],
                "longest_gap": round(gap, 3),
                "slowest": round(max(ended - started for started, ended, _ in results), 3),
            }
        )
    )


main()
