"""What readers write about a book, as JSON: GET /reviews/NAME.

Three versions of it run side by side: v1 knows no ratings; v2 and v3 ask the ratings service and show stars.
"""

import json
import os
import signal
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

VERSION = os.environ.get("VERSION", "v1")
RATINGS = os.environ.get("RATINGS", "")  # host:port; empty: no ratings
COLOUR = os.environ.get("COLOUR", "")
REVIEWS = {
    "the-quiet-harbour": ["Nothing happens, and I could not put it down.", "The sea is the best character in it."],
    "a-map-of-small-rivers": ["I have walked two of them since.", "Lovely maps, thin plot."],
    "bread-and-weather": ["Made me bake in a storm."],
}


def log(event, **fields):
    record = {"time": time.time(), "service": "reviews", "version": VERSION, "event": event, **fields}
    print(json.dumps(record), flush=True)


def rating(book):
    """Stars and votes, or None if nobody rated the book."""
    host, port = RATINGS.rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=5) as connection:
        connection.sendall(f"RATING {book}\n".encode())
        with connection.makefile(encoding="ascii") as lines:
            words = lines.readline().split()
    if words[:1] == ["OK"]:
        return {"stars": float(words[1]), "votes": int(words[2]), "colour": COLOUR}
    if words[:1] == ["NONE"]:
        return None
    raise ConnectionError(f"ratings said: {' '.join(words) or 'nothing'}")


class Reviews(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 30

    def do_GET(self):
        path = self.path.split("?")[0].strip("/").split("/")
        if path == ["healthz"]:
            self.answer(200, {"ready": True})
        elif len(path) == 2 and path[0] == "reviews" and path[1] in REVIEWS:
            self.reviews(path[1])
        else:
            self.answer(404, {"error": f"there is no {self.path}"})

    def reviews(self, book):
        content = {"version": VERSION, "reviews": REVIEWS[book]}
        if RATINGS:
            try:
                content["rating"] = rating(book)
            except (OSError, ValueError) as error:
                log("error", message=str(error), book=book)
                self.answer(502, {"error": f"no answer from ratings: {error}"})
                return
        self.answer(200, content)

    def answer(self, status, content):
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_request(self, code="-", size="-"):  # noqa: ARG002
        if self.path != "/healthz":
            log("request", path=self.path, status=int(code), client=self.client_address[0])

    def log_message(self, format, *args):  # noqa: A002
        log("error", message=format % args)


class Server(ThreadingHTTPServer):
    daemon_threads = False  # requests in flight are answered before the process ends
    request_queue_size = 128


server = Server(("", int(os.environ.get("PORT", "8080"))), Reviews)
signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
log("listening", port=server.server_port)
server.serve_forever(poll_interval=0.1)
server.server_close()
log("stopped")
