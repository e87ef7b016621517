"""The books that the shop sells, as JSON: GET /books and GET /books/NAME."""

import json
import os
import signal
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

BOOKS = {
    "the-quiet-harbour": {"title": "The Quiet Harbour", "author": "M. Ferrant", "price": 18.5, "stock": 7},
    "a-map-of-small-rivers": {"title": "A Map of Small Rivers", "author": "J. Okafor", "price": 24.0, "stock": 2},
    "bread-and-weather": {"title": "Bread and Weather", "author": "L. Winther", "price": 12.9, "stock": 0},
}


def log(event, **fields):
    print(json.dumps({"time": time.time(), "service": "catalogue", "event": event, **fields}), flush=True)


class Catalogue(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 30

    def do_GET(self):
        path = self.path.split("?")[0].strip("/").split("/")
        if path == ["healthz"]:
            self.answer(200, {"ready": True})
        elif path == ["books"]:
            self.answer(200, [{"name": name, **book} for name, book in BOOKS.items()])
        elif len(path) == 2 and path[0] == "books" and path[1] in BOOKS:
            self.answer(200, {"name": path[1], **BOOKS[path[1]]})
        else:
            self.answer(404, {"error": f"there is no {self.path}"})

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


server = Server(("", int(os.environ.get("PORT", "8080"))), Catalogue)
signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
log("listening", port=server.server_port)
server.serve_forever(poll_interval=0.1)
server.server_close()
log("stopped")
