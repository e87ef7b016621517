"""What readers think of a book, over a line protocol on plain TCP.

A client sends lines, each is answered with one line:

    RATING the-quiet-harbour   ->   OK 4.6 212          stars and votes
    RATING no-such-book        ->   NONE
    anything else              ->   ERROR say RATING and a book's name
"""

import json
import os
import signal
import socketserver
import threading
import time

RATINGS = {
    "the-quiet-harbour": (4.6, 212),
    "a-map-of-small-rivers": (3.9, 48),
    "bread-and-weather": (4.2, 97),
}


def log(event, **fields):
    print(json.dumps({"time": time.time(), "service": "ratings", "event": event, **fields}), flush=True)


def answer(line):
    words = line.split()
    if len(words) != 2 or words[0] != "RATING":
        return "ERROR say RATING and a book's name"
    if words[1] not in RATINGS:
        return "NONE"
    stars, votes = RATINGS[words[1]]
    return f"OK {stars} {votes}"


class Ratings(socketserver.StreamRequestHandler):
    timeout = 30

    def handle(self):
        try:
            while line := self.rfile.readline(200).decode("ascii", "replace").strip():
                reply = answer(line)
                log("request", line=line, reply=reply, client=self.client_address[0])
                self.wfile.write(reply.encode() + b"\n")
        except OSError as error:
            log("error", message=str(error), client=self.client_address[0])


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = False  # requests in flight are answered before the process ends
    request_queue_size = 128


server = Server(("", int(os.environ.get("PORT", "9090"))), Ratings)
signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
log("listening", port=server.server_address[1])
server.serve_forever(poll_interval=0.1)
server.server_close()
log("stopped")
