"""A web server on 127.0.0.1 with a few files, each with the manners that are to be tried."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Served:
    """One file, and how it is given out.

    Attributes:
        content: Its bytes.
        resumes: Whether a part can be asked for.
        cut_after: Bytes in each answer before the connection is closed; None: all.
        tells_size: Whether the answer says how long it is.
        status: What is answered; 200 for the file.
    """

    content: bytes = b""
    resumes: bool = True
    cut_after: int | None = None
    tells_size: bool = True
    status: int = 200


class FileServer(ThreadingHTTPServer):
    """Serves `files`, and remembers what was asked for: paths and ranges."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files: dict[str, Served] = {}
        self.asked: list[tuple[str, str | None]] = []

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.server_port}/{name}"


class _Handler(BaseHTTPRequestHandler):
    server: FileServer

    def do_GET(self) -> None:
        name, asked = self.path.lstrip("/"), self.headers.get("Range")
        self.server.asked.append((name, asked))
        file = self.server.files.get(name, Served(status=404))
        if file.status != 200:
            self.send_error(file.status)
            return
        begin = int(asked[len("bytes=") : -1]) if asked and file.resumes else 0
        if begin and begin >= len(file.content):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(file.content)}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        body = file.content[begin:]
        self.send_response(206 if begin else 200)
        if file.tells_size:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: file.cut_after])

    def log_message(self, *args: object) -> None:
        """Says nothing."""


@contextmanager
def file_server() -> Iterator[FileServer]:
    """Yields a running server; it ends with the body, whatever happens there."""
    with FileServer() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
