"""A wireserver made of files, as a process of its own: what to answer is in a directory, and what was asked is too.

`answer` is the body, `status` the HTTP status, `delay` seconds before it; each call adds a line to `calls`.
Run as: python fake_wireserver.py DIRECTORY ADDRESS PORT. It prints a line once it listens.
"""

from __future__ import annotations

import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class Handler(BaseHTTPRequestHandler):
    """Answers from the directory that the server was given."""

    directory: Path

    def do_GET(self) -> None:
        with (self.directory / "calls").open("a") as calls:
            calls.write(f"{self.path}\n")
        time.sleep(float((self.directory / "delay").read_text()))
        body = (self.directory / "answer").read_bytes()
        self.send_response(int((self.directory / "status").read_text()))
        self.send_header("Content-Type", "text/xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class Server(ThreadingHTTPServer):
    """Takes as many callers at once as there are."""

    daemon_threads = True
    request_queue_size = 512

    def handle_error(self, *_: object) -> None:
        """A caller that went away is no error here."""


def main() -> None:
    Handler.directory = Path(sys.argv[1])
    server = Server((sys.argv[2], int(sys.argv[3])), Handler)
    sys.stdout.write("listening\n")
    sys.stdout.flush()
    server.serve_forever()


if __name__ == "__main__":
    main()
