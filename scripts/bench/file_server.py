"""A web server of one folder that gives parts of files, waits as a distant one does, and fails when it is told to."""

from __future__ import annotations

import html
import re
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from time import sleep
from typing import Literal
from urllib.parse import quote, unquote

Fault = Literal["", "cut", "error", "busy", "slow", "whole", "denied"]
"""What becomes of a reply: cut off in its middle, status 500, 429, silence after its head, all of the file, 403."""


class FileServer(ThreadingHTTPServer):
    """`faults` are taken one a GET of a range, then `fault` for all others; `num_bytes` counts what bodies held."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, folder: Path, delay_seconds: float = 0.0, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.folder, self.delay_seconds = folder, delay_seconds
        self.faults: deque[Fault] = deque()
        self.fault: Fault = ""
        self.num_requests, self.num_bytes = 0, 0
        self.lock, self.ended = threading.Lock(), threading.Event()
        self.has_index_pages = True

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def next_fault(self) -> Fault:
        with self.lock:
            return self.faults.popleft() if self.faults else self.fault

    def count(self, num_bytes: int) -> None:
        with self.lock:
            self.num_requests, self.num_bytes = self.num_requests + 1, self.num_bytes + num_bytes

    def handle_error(self, request: object, client_address: object) -> None:
        """Nothing: a client that lets go of a slow reply is no news."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: FileServer

    def do_HEAD(self) -> None:
        self.answer(with_body=False)

    def do_GET(self) -> None:
        self.answer(with_body=True)

    def answer(self, with_body: bool) -> None:
        if self.server.delay_seconds:
            sleep(self.server.delay_seconds)
        path = self.server.folder / unquote(self.path.partition("?")[0]).lstrip("/")
        if path.is_dir() and self.server.has_index_pages:
            self.send(200, index_page(path), with_body, {"Content-Type": "text/html; charset=utf-8"})
        elif path.is_file():
            self.send_file(path, with_body)
        else:
            self.send(404, b"no such file", with_body, {})

    def send_file(self, path: Path, with_body: bool) -> None:
        status = path.stat()
        told = {"ETag": f'"{status.st_mtime_ns:x}-{status.st_size:x}"', "Accept-Ranges": "bytes"}
        wanted = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        fault = self.server.next_fault() if wanted else ""
        if fault in ("error", "busy", "denied"):
            self.send({"error": 500, "busy": 429, "denied": 403}[fault], b"not now", with_body, {})
        elif wanted is None or fault == "whole":
            self.send(200, path.read_bytes() if with_body else bytes(status.st_size), with_body, told)
        else:
            begin, end = int(wanted[1]), min(int(wanted[2]) + 1, status.st_size)
            with path.open("rb") as file:
                file.seek(begin)
                content = file.read(end - begin)
            told["Content-Range"] = f"bytes {begin}-{end - 1}/{status.st_size}"
            self.send(206, content, with_body, told, fault)

    def send(self, status: int, body: bytes, with_body: bool, told: dict[str, str], fault: Fault = "") -> None:
        self.send_response(status)
        for name, value in (told | {"Content-Length": str(len(body))}).items():
            self.send_header(name, value)
        self.end_headers()
        if not with_body:
            return
        if fault:
            body, self.close_connection = body[: len(body) // 2], True
        self.wfile.write(body)
        self.server.count(len(body) if status < 300 else 0)
        if fault == "slow":
            self.server.ended.wait()

    def log_message(self, format: str, *arguments: object) -> None:
        """Nothing: stderr is the command's."""


def index_page(folder: Path) -> bytes:
    """Links as nginx's autoindex writes them, those that sort the page included."""
    names = sorted(f"{path.name}/" if path.is_dir() else path.name for path in folder.iterdir())
    links = [f'<a href="{html.escape(quote(name))}">{html.escape(name)}</a>' for name in names]
    return "\n".join(['<a href="../">../</a>', '<a href="?C=N;O=D">Name</a>', *links]).encode()


@contextmanager
def serving(folder: Path, delay_seconds: float = 0.0) -> Iterator[FileServer]:
    """A server of a folder on a free port of this machine, while the block runs."""
    server = FileServer(folder, delay_seconds)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.ended.set()
        server.shutdown()
        server.server_close()
