"""The shop's web pages: GET / lists the books with their stock, GET /books/NAME shows one with its reviews."""

import html
import json
import os
import signal
import threading
import time
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

CATALOGUE = os.environ.get("CATALOGUE", "http://catalogue:8080")
REVIEWS = os.environ.get("REVIEWS", "http://reviews:8080")
PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><style>
body {{ font: 17px/1.5 Georgia, serif; max-width: 40em; margin: 3em auto; padding: 0 1em; color: #233 }}
a {{ color: #156 }} li {{ margin: .6em 0 }} .quiet {{ color: #788 }} .red {{ color: #b22 }}
</style><h1>{title}</h1>{body}</html>
"""


def log(event, **fields):
    print(json.dumps({"time": time.time(), "service": "front", "event": event, **fields}), flush=True)


def get(url):
    with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310
        return json.load(answer)


def stock(book):
    return f"{book['stock']} in stock" if book["stock"] else "sold out"


def shop_page():
    lines = [
        f'<li><a href="/books/{book["name"]}">{html.escape(book["title"])}</a>, {html.escape(book["author"])}'
        f' <span class="quiet">{book["price"]:.2f}, {stock(book)}</span>'
        for book in get(f"{CATALOGUE}/books")
    ]
    return PAGE.format(title="The shop", body=f"<ul>{''.join(lines)}</ul>")


def book_page(name):
    book = get(f"{CATALOGUE}/books/{name}")
    opinion = get(f"{REVIEWS}/reviews/{name}")
    body = f"<p>{html.escape(book['author'])}, {book['price']:.2f}, {stock(book)}</p>"
    rating = opinion.get("rating")
    if rating:
        stars = "&#9733;" * round(rating["stars"])
        body += f'<p><span class="{rating["colour"]}">{stars}</span> {rating["stars"]} ({rating["votes"]} votes)</p>'
    body += "".join(f"<blockquote>{html.escape(text)}</blockquote>" for text in opinion["reviews"])
    body += f'<p class="quiet">reviews {opinion["version"]}</p><p><a href="/">all books</a></p>'
    return PAGE.format(title=html.escape(book["title"]), body=body)


def page(path):
    """Status and text of the page at `path`; a list of path segments."""
    try:
        if path == [""]:
            return 200, shop_page()
        if path == ["healthz"]:
            return 200, "ready\n"
        if len(path) == 2 and path[0] == "books":
            return 200, book_page(path[1])
    except urllib.error.HTTPError as error:
        if error.code != 404:
            log("error", message=str(error), url=error.url)
            return 502, PAGE.format(title="Something is broken", body=f"<p>{html.escape(str(error))}</p>")
    except (OSError, ValueError, KeyError) as error:
        log("error", message=str(error))
        return 502, PAGE.format(title="Something is broken", body=f"<p>{html.escape(str(error))}</p>")
    return 404, PAGE.format(title="There is no such page", body='<p><a href="/">all books</a></p>')


class Front(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 30

    def do_GET(self):
        status, text = page(self.path.split("?")[0].strip("/").split("/"))
        body = text.encode()
        self.send_response(status)
        self.send_header("content-type", "text/html; charset=utf-8")
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


server = Server(("", int(os.environ.get("PORT", "8080"))), Front)
signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
log("listening", port=server.server_port)
server.serve_forever(poll_interval=0.1)
server.server_close()
log("stopped")
