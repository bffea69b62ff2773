"""A Redis, a storage and sidecars over them, which tests start, kill and stop."""

import base64
import json
import os
import secrets
import signal
import socket
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

READY_SECONDS = 60
STOP_SECONDS = 20


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


class Redis:
    """A private redis-server without a disk: what it forgets, Onward reads from the storage."""

    def __init__(self, folder: Path):
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}"
        command = ["redis-server", "--port", self.port, "--bind", "127.0.0.1", "--save", "", "--dir", folder]
        self._process = subprocess.Popen([str(word) for word in command], stdout=subprocess.DEVNULL)
        until_open(self.port, self._process)

    def command(self, *words: str) -> bytes:
        """Sends one command, for what clients must survive: `FLUSHALL`."""
        with socket.create_connection(("127.0.0.1", self.port)) as connection:
            sent = b"".join(f"${len(word)}\r\n{word}\r\n".encode() for word in words)
            connection.sendall(f"*{len(words)}\r\n".encode() + sent)
            return connection.recv(4096)

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()


def until_open(port: int, process: subprocess.Popen) -> None:
    """Waits until something listens at a port."""
    for _ in range(READY_SECONDS * 20):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        assert process.poll() is None, "it ended before it listened"
        try:
            process.wait(0.05)
        except subprocess.TimeoutExpired:
            pass
    raise AssertionError(f"nothing listens at {port}")


class Sidecar:
    """One `onward serve`."""

    def __init__(self, deployment: "Deployment", port: int = 0):
        self._deployment = deployment
        self._log = open(deployment.folder / "sidecar.log", "ab")
        environment = os.environ | deployment.environment | {
            "ONWARD_ACCESS_KEY_ID": deployment.key,
            "ONWARD_SECRET_ACCESS_KEY": deployment.secret,
        }
        self._process = subprocess.Popen(
            [os.environ["ONWARD_BIN"], "serve", "--listen", f"127.0.0.1:{port}", "--json"]
            + ["--redis", deployment.redis.url, "--storage", deployment.storage, *deployment.flags],
            stdout=subprocess.PIPE,
            stderr=self._log,
            stdin=subprocess.DEVNULL,
            env=environment,
        )
        ready = self._process.stdout.readline()
        assert ready, f"the sidecar did not start:\n{deployment.log()}"
        self.told = json.loads(ready)
        self.url = self.told["listen"]
        self.port = int(self.url.rsplit(":", 1)[1])
        self.uri = f"{self.url}/iceberg"

    @property
    def pid(self) -> int:
        return self._process.pid

    def kill(self) -> None:
        """As a machine that goes away takes it."""
        self._process.kill()
        self._process.wait()
        self._log.close()

    def again(self) -> "Sidecar":
        """Another one at the same address."""
        return Sidecar(self._deployment, self.port)

    def stop(self) -> None:
        if self._process.poll() is not None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            assert self._process.wait(STOP_SECONDS) == 0, self._deployment.log()
        finally:
            self.kill()


class Deployment:
    """What sidecars share, and the administrator's key."""

    # What each sidecar is started with besides.
    flags: list[str] = []
    environment: dict[str, str] = {}

    def __init__(self, folder: Path, storage: str | None = None):
        self.folder = folder
        self.lake = folder / "lake"
        self.lake.mkdir(parents=True)
        self.storage = storage or self.lake.as_uri()
        self.key = "CLIENTTESTS" + secrets.token_hex(4)
        self.secret = secrets.token_urlsafe(24)
        self.redis = Redis(folder)
        self.sidecars = [Sidecar(self)]

    @property
    def sidecar(self) -> Sidecar:
        return self.sidecars[0]

    @property
    def credential(self) -> str:
        return f"{self.key}:{self.secret}"

    def another(self) -> Sidecar:
        self.sidecars.append(Sidecar(self))
        return self.sidecars[-1]

    def kill(self, number: int) -> None:
        """Kills a sidecar and starts another one at its address."""
        self.sidecars[number].kill()
        self.sidecars[number] = self.sidecars[number].again()

    def post(self, path: str, body: dict) -> dict:
        """A request to an API of the sidecar."""
        return self.request("POST", path, body)

    def request(self, method: str, path: str, body: dict | None = None) -> dict:
        login = base64.b64encode(self.credential.encode()).decode()
        request = urllib.request.Request(
            self.sidecar.url + path,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Basic {login}", "Content-Type": "application/json"},
            method=method,
        )
        with urllib.request.urlopen(request, timeout=READY_SECONDS) as answer:
            told = answer.read()
            # A new branch is answered with the id of its commit, and no JSON.
            is_json = answer.headers.get_content_type() == "application/json"
            return json.loads(told) if is_json else {"text": told.decode()}

    def get(self, path: str) -> dict:
        return self.request("GET", path)

    def repository(self, name: str) -> str:
        self.post("/api/v1/repositories", {"name": name, "storage_namespace": f"local://{name}"})
        return name

    def cli(self, *words: str) -> dict:
        """Runs a command of the program over the same deployment; its JSON."""
        command = [os.environ["ONWARD_BIN"], *words, "--json", "--redis", self.redis.url, "--storage", self.storage]
        done = subprocess.run(command, env=os.environ | self.environment, capture_output=True, timeout=READY_SECONDS, check=True)
        return json.loads(done.stdout)

    def log(self) -> str:
        return "\n".join((self.folder / "sidecar.log").read_text().splitlines()[-40:])

    def stop(self) -> None:
        try:
            for sidecar in self.sidecars:
                sidecar.stop()
        finally:
            self.redis.stop()
