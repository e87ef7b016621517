"""What the pods of the live tests run: HTTP on 8080, and a line protocol on 9000 that tests connections themselves.

Lines on 9000: `echo` repeats what it gets until the end; `count` counts bytes until the client half-closes, then
answers with their number and 1 MB; `stream SECONDS` sends a numbered line every 10 ms; `download BYTES` sends that
many bytes, slowly; `drop` answers and closes while the client is still sending; `idle` waits for a byte and answers it.
"""

import http.server
import socket
import socketserver
import threading
import time


class Web(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = f"{socket.gethostname()} saw {self.client_address[0].removeprefix('::ffff:')} {self.path}\n".encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


class Lines(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        command, *arguments = self.rfile.readline().decode().split() or [""]
        getattr(self, "do_" + command, lambda *_: None)(*arguments)

    def do_echo(self) -> None:
        while data := self.rfile.read1(65536):
            self.wfile.write(data)

    def do_count(self) -> None:
        number = 0
        while data := self.rfile.read1(65536):
            number += len(data)
        self.wfile.write(b"%020d" % number + b"x" * 1_000_000)

    def do_stream(self, seconds: str) -> None:
        end = time.monotonic() + float(seconds)
        number = 0
        while time.monotonic() < end:
            self.wfile.write(b"%d\n" % number)
            number += 1
            time.sleep(0.01)
        self.wfile.write(b"end\n")

    def do_download(self, size: str) -> None:
        left = int(size)
        while left:
            chunk = min(left, 65536)
            self.wfile.write(b"d" * chunk)
            left -= chunk
            time.sleep(0.002)

    def do_drop(self) -> None:
        self.wfile.write(b"p" * 200_000)
        self.connection.recv(500_000)

    def do_idle(self) -> None:
        self.wfile.write(self.rfile.read(1))


class WebServer(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6
    request_queue_size = 256


class LineServer(socketserver.ThreadingTCPServer):
    address_family = socket.AF_INET6
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 256


lines = LineServer(("::", 9000), Lines)
threading.Thread(target=lines.serve_forever, daemon=True).start()
WebServer(("::", 8080), Web).serve_forever()
