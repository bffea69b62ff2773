"""How fast the S3 gateway of a sidecar is, beside its own API in the same run: `scripts/bench-sidecar` calls it.

Every request is presigned, so that clients that sign nothing (curl, wrk) do the work. One JSON object per line.
"""

import datetime
import hashlib
import hmac
import http.client
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.parse

BUCKET = "bench"
PARTS = 8
KEYS = 1000
SMALL = 1024


class Gateway:
    """Presigns requests by SigV4, in the query."""

    def __init__(self, url: str, key: str, secret: str):
        self.at = urllib.parse.urlsplit(url)
        self.key, self.secret = key, secret

    def url(self, method: str, path: str, **query: str) -> str:
        moment = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
        scope = f"{moment[:8]}/us-east-1/s3/aws4_request"
        query |= {
            "X-Amz-Algorithm": "AWS4-HMAC-SHA256", "X-Amz-Credential": f"{self.key}/{scope}", "X-Amz-Date": moment,
            "X-Amz-Expires": "3600", "X-Amz-SignedHeaders": "host",
        }
        place = urllib.parse.quote(f"/{BUCKET}{path}")
        asked = "&".join(f"{name}={urllib.parse.quote(value, safe='')}" for name, value in sorted(query.items()))
        request = "\n".join([method, place, asked, f"host:{self.at.netloc}\n", "host", "UNSIGNED-PAYLOAD"])
        text = "\n".join(["AWS4-HMAC-SHA256", moment, scope, hashlib.sha256(request.encode()).hexdigest()])
        code = f"AWS4{self.secret}".encode()
        for part in [*scope.split("/"), text]:
            code = hmac.digest(code, part.encode(), "sha256")
        return f"{self.at.scheme}://{self.at.netloc}{place}?{asked}&X-Amz-Signature={code.hex()}"

    def ask(self, method: str, path: str, body: bytes = b"", **query: str) -> bytes:
        connection = http.client.HTTPConnection(self.at.netloc)
        connection.request(method, self.url(method, path, **query), body)
        answer = connection.getresponse()
        content = answer.read()
        assert answer.status == 200, (answer.status, content)
        return content


def curl(*words: str) -> None:
    subprocess.run(["curl", "-sS", "--fail-with-body", "-o", "/dev/null", *words], check=True)


def timed(work) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def tell(measured: str, **more) -> None:
    print(json.dumps({"measured": measured} | more), flush=True)


def downloads(gateway: Gateway, plain: str, login: str, size: int) -> None:
    over_s3 = gateway.url("GET", "/main/stream")
    rates = {}
    # In turns, so that what the machine does besides meets both.
    for _ in range(2):
        for name, words in [("s3", [over_s3]), ("http", ["-H", f"Authorization: Basic {login}", plain])]:
            rates[name] = max(rates.get(name, 0), size / timed(lambda: curl(*words)))
    tell(
        "s3 download", megabytes_per_second=round(rates["s3"] / 1e6), http_megabytes_per_second=round(rates["http"] / 1e6),
        ratio=round(rates["s3"] / rates["http"], 2),
    )


def upload(gateway: Gateway, size: int) -> None:
    made = gateway.ask("POST", "/main/parts", uploads="").decode()
    upload = made.split("<UploadId>")[1].split("<")[0]
    part = size // PARTS
    with tempfile.NamedTemporaryFile() as file, tempfile.NamedTemporaryFile() as copy:
        # Empty to the disk, full of zeros to who reads it: the client costs as little as it can.
        file.truncate(part)
        urls = [gateway.url("PUT", "/main/parts", partNumber=str(number + 1), uploadId=upload) for number in range(PARTS)]

        def send() -> None:
            sent = [
                subprocess.Popen(["curl", "-sS", "--fail-with-body", "-o", "/dev/null", "-T", file.name, url])
                for url in urls
            ]
            assert all(process.wait() == 0 for process in sent)
            listed = gateway.ask("GET", "/main/parts", uploadId=upload).decode()
            tags = [entry.split("<")[0] for entry in listed.split("<ETag>")[1:]]
            assert len(tags) == PARTS, listed
            named = "".join(f"<Part><PartNumber>{number + 1}</PartNumber><ETag>{tag}</ETag></Part>" for number, tag in enumerate(tags))
            gateway.ask("POST", "/main/parts", f"<CompleteMultipartUpload>{named}</CompleteMultipartUpload>".encode(), uploadId=upload)

        sent = timed(send)
        disk = timed(lambda: subprocess.run(
            ["dd", "if=/dev/zero", f"of={copy.name}", "bs=1M", f"count={part * PARTS >> 20}", "conv=fsync", "status=none"], check=True,
        ))
    tell(
        f"s3 upload of {PARTS} parts", megabytes_per_second=round(part * PARTS / sent / 1e6),
        disk_megabytes_per_second=round(part * PARTS / disk / 1e6), ratio=round(disk / sent, 2),
    )


def small_objects(gateway: Gateway, plain: str, login: str, seconds: str, connections: str) -> None:
    gateway.ask("PUT", "/main/small", os.urandom(SMALL))
    rates = {}
    for name, words in [("s3", [gateway.url("GET", "/main/small")]), ("http", ["-H", f"Authorization: Basic {login}", plain])]:
        told = subprocess.run(["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", *words], check=True, capture_output=True, text=True)
        assert "Non-2xx" not in told.stdout, told.stdout
        rates[name] = float(told.stdout.split("Requests/sec:")[1].split()[0])
    tell(
        f"s3 GETs of {SMALL} bytes over {connections} connections", per_second=round(rates["s3"]),
        http_per_second=round(rates["http"]), ratio=round(rates["s3"] / rates["http"], 2),
    )


def listing(gateway: Gateway) -> None:
    connection = http.client.HTTPConnection(gateway.at.netloc)
    for number in range(KEYS):
        connection.request("PUT", gateway.url("PUT", f"/main/keys/{number:04}"), b"")
        assert connection.getresponse().read() == b""
    took = []
    for _ in range(100):
        begun = time.perf_counter()
        connection.request("GET", gateway.url("GET", "", **{"list-type": "2", "prefix": "main/keys/"}))
        listed = connection.getresponse().read()
        took.append(1000 * (time.perf_counter() - begun))
        assert listed.count(b"<Contents>") == KEYS
    took.sort()
    tell(f"s3 listing of {KEYS} keys", p50_ms=round(took[50], 2), p99_ms=round(took[99], 2))


def main(url: str, s3: str, size: str, seconds: str, connections: str) -> None:
    key, secret, login = (os.environ[name] for name in ("ONWARD_ACCESS_KEY_ID", "ONWARD_SECRET_ACCESS_KEY", "LOGIN"))
    gateway = Gateway(s3, key, secret)
    objects = f"{url}/api/v1/repositories/{BUCKET}/refs/main/objects?path="
    downloads(gateway, objects + "stream", login, int(size))
    upload(gateway, int(size))
    small_objects(gateway, objects + "small", login, seconds, connections)
    listing(gateway)


if __name__ == "__main__":
    main(*sys.argv[1:])
