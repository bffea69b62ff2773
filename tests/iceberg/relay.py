"""A relay between clients and sidecars that loses requests and replies, and gives answers of its own.

What happens to the n-th request that may change something is drawn from a seed: the same seed, the same draws.
Everything else goes through. A request goes to the next sidecar in turn.
"""

import http.client
import json
import random
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

# What a proxy or a load balancer does between a client and a server.
LOST_REQUEST = "the request is lost"
LOST_REPLY = "the reply is lost"
REPLACED = {500: "500 after it was done", 502: "502 after it was done", 503: "503 after it was done", 504: "504 after it was done"}
SOCKET_SECONDS = 60


class Relay:
    """Listens at `uri` until it is closed."""

    def __init__(self, ports: list[int], seed: int, rate: float):
        self.ports = ports
        self.rate = rate
        self.done = Counter()
        self._draw = random.Random(seed)
        self._lock = threading.Lock()
        self._turn = 0
        # DuckDB's client was answered in another's place the last time.
        self._is_fragile_hit = False
        relay = self

        class Handler(_Handler):
            def relay(self) -> Relay:
                return relay

        self._server = _Quiet(("127.0.0.1", 0), Handler)
        self.uri = f"http://127.0.0.1:{self._server.server_address[1]}/iceberg"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    def next_port(self) -> int:
        with self._lock:
            self._turn += 1
            return self.ports[self._turn % len(self.ports)]

    def fate(self, is_commit: bool, is_fragile: bool) -> object:
        """What happens to a request: None, or one of the faults.

        DuckDB sends a commit again four times at most, and never after a 502; then it deletes the files that it
        wrote, whatever became of them. No catalog can help that, so it is spared what it does not bear.
        """
        with self._lock:
            if not is_commit:
                return None
            is_spared = is_fragile and self._is_fragile_hit
            if is_fragile:
                self._is_fragile_hit = False
            if is_spared or self._draw.random() >= self.rate:
                return None
            faults = [LOST_REQUEST, LOST_REPLY, LOST_REPLY, *(code for code in REPLACED if not is_fragile or code != 502)]
            drawn = self._draw.choice(faults)
            self._is_fragile_hit = self._is_fragile_hit or is_fragile
            self.done[REPLACED.get(drawn, drawn)] += 1
            return drawn

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> "Relay":
        return self

    def __exit__(self, *_) -> None:
        self.close()


class _Quiet(ThreadingHTTPServer):
    daemon_threads = True
    # Of the many clients that come at once; the default is five.
    request_queue_size = 128

    def handle_error(self, *_) -> None:
        """A client that hung up: nothing to say."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def relay(self) -> Relay:
        raise NotImplementedError

    def log_message(self, *_) -> None:
        pass

    def _pass(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        # Commits alone: a table that is not made is no race.
        is_commit = self.command == "POST" and ("/tables/" in self.path or self.path.endswith("/transactions/commit"))
        is_commit = is_commit and not self.path.endswith("/metrics") and "/tables/rename" not in self.path
        is_fragile = self.headers.get("User-Agent", "").lower().startswith("duckdb")
        fate = self.relay().fate(is_commit, is_fragile)
        if fate == LOST_REQUEST:
            self._hang_up()
            return
        try:
            status, headers, content = self._ask(body)
        except (OSError, http.client.HTTPException):
            self._hang_up()
            return
        if fate == LOST_REPLY:
            self._hang_up()
        elif fate is not None:
            told = {"error": {"message": "a proxy's", "type": "ServiceFailureException", "code": fate}}
            self._answer(fate, [("Content-Type", "application/json")], json.dumps(told).encode())
        else:
            self._answer(status, headers, content)

    def _ask(self, body: bytes):
        connection = self._connect()
        try:
            hop = {"host", "connection", "content-length", "transfer-encoding", "accept-encoding", "expect"}
            headers = {name: value for name, value in self.headers.items() if name.lower() not in hop}
            connection.request(self.command, self.path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.getheaders(), answer.read()
        finally:
            connection.close()

    def _connect(self) -> http.client.HTTPConnection:
        """To the next sidecar that listens: one that does not has been told nothing."""
        for _ in self.relay().ports:
            connection = http.client.HTTPConnection("127.0.0.1", self.relay().next_port(), timeout=SOCKET_SECONDS)
            try:
                connection.connect()
                return connection
            except OSError:
                connection.close()
        raise ConnectionRefusedError("no sidecar listens")

    def _answer(self, status: int, headers, content: bytes) -> None:
        self.send_response_only(status)
        for name, value in headers:
            if name.lower() not in {"content-length", "transfer-encoding", "connection"}:
                self.send_header(name, value)
        if status not in (204, 304):
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _hang_up(self) -> None:
        self.close_connection = True

    do_GET = do_POST = do_HEAD = do_DELETE = _pass
