"""A bucket that tables lie in, of a server that verifies signatures and has an STS: SeaweedFS."""

import json
import os
import subprocess
import sys
from pathlib import Path

import botocore.session
from botocore.config import Config
from servers import Deployment, free_port, until_open

REGION = "us-east-1"
BUCKET = "tables"
ROLE = "arn:aws:iam::123456789012:role/tables"
# What each key may do is below; no client is told the sidecar's.
SIDECAR = ("SIDECAR", "the-secret-of-the-sidecar")
WRITER = ("WRITER", "the-secret-of-writers")
READER = ("READER", "the-secret-of-readers")


def client(service: str, endpoint: str, key: str, secret: str, token: str | None = None):
    """A client of Amazon's own, for what tests look at and no client of tables does."""
    config = Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"})
    return botocore.session.get_session().create_client(
        service,
        endpoint_url=endpoint,
        region_name=REGION,
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        aws_session_token=token,
        config=config,
    )


def environment(endpoint: str, key: tuple[str, str]) -> dict[str, str]:
    """What the sidecar's storage is reached by."""
    names = {"AWS_ENDPOINT": endpoint, "AWS_REGION": REGION, "AWS_ALLOW_HTTP": "true"}
    return names | {"AWS_ACCESS_KEY_ID": key[0], "AWS_SECRET_ACCESS_KEY": key[1]}


class SeaweedFS:
    """A server with one bucket, three keys and a role, whose sessions last an hour or what a test says."""

    def __init__(self, folder: Path, session: str = "1h"):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "data").mkdir()
        self.port = free_port()
        self.endpoint = f"http://127.0.0.1:{self.port}"
        listen = ["-ip", "127.0.0.1", "-ip.bind", "127.0.0.1", "-s3", "-s3.port", self.port, "-s3.port.iceberg", 0, "-s3.port.lance", 0]
        for part in ["master", "volume", "filer"]:
            listen += [f"-{part}.port", free_port(), f"-{part}.port.grpc", free_port()]
        listen += ["-s3.port.grpc", free_port(), "-master.volumeSizeLimitMB", 64, "-volume.max", 50]
        settings = {"keys": keys(), "roles": roles(session)}
        for name, setting in settings.items():
            (folder / f"{name}.json").write_text(json.dumps(setting))
        files = ["-s3.config", folder / "keys.json", "-s3.iam.config", folder / "roles.json"]
        command = [Path(sys.executable).parent / "weed", "server", "-dir", folder / "data", *listen, *files]
        self._log = open(folder / "seaweedfs.log", "wb")
        self._process = subprocess.Popen(
            [str(word) for word in command], stdout=self._log, stderr=self._log, stdin=subprocess.DEVNULL
        )
        until_open(self.port, self._process)
        self._make_bucket()

    def _make_bucket(self) -> None:
        """The gateway listens before what is behind it does."""
        for tries in range(200):
            try:
                self.client().create_bucket(Bucket=BUCKET)
                self.client().put_object(Bucket=BUCKET, Key="ready", Body=b"")
                return
            except Exception as error:
                if "BucketAlready" not in str(error) and tries == 199:
                    raise
                try:
                    assert self._process.wait(0.1) is None
                except subprocess.TimeoutExpired:
                    pass

    def client(self, key: tuple[str, ...] = SIDECAR):
        return client("s3", self.endpoint, *key)

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()
        self._log.close()


def keys() -> dict:
    def identity(key: tuple[str, str], *actions: str) -> dict:
        return {"name": key[0].lower(), "credentials": [{"accessKey": key[0], "secretKey": key[1]}], "actions": list(actions)}

    read = [f"Read:{BUCKET}", f"List:{BUCKET}"]
    write = [*read, f"Write:{BUCKET}"]
    return {"identities": [identity(SIDECAR, "Admin"), identity(WRITER, *write), identity(READER, *read)]}


def roles(session: str) -> dict:
    allow = {"Effect": "Allow"}
    everything = {"Action": ["s3:*"], "Resource": [f"arn:aws:s3:::{BUCKET}", f"arn:aws:s3:::{BUCKET}/*"]}
    document = {"Version": "2012-10-17", "Statement": [allow | everything]}
    trust = {"Version": "2012-10-17", "Statement": [allow | {"Principal": {"AWS": "*"}, "Action": ["sts:AssumeRole"]}]}
    role = {"roleName": "tables", "roleArn": ROLE, "trustPolicy": trust, "attachedPolicies": ["Tables"]}
    signing = {"issuer": "tests", "signingKey": "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="}
    return {
        "sts": signing | {"tokenDuration": session, "maxSessionLength": session},
        "policy": {"defaultEffect": "Deny", "storeType": "memory"},
        "roleStore": {"storeType": "memory"},
        "policies": [{"name": "Tables", "document": document}],
        "roles": [role],
    }


class OnS3(Deployment):
    """A deployment on local files whose tables lie in a bucket."""

    def __init__(self, folder: Path, store: SeaweedFS, *flags: str, **more: str):
        self.flags = ["--iceberg-warehouse", f"s3://{BUCKET}/{folder.name}", *flags]
        self.environment = environment(store.endpoint, SIDECAR) | more
        super().__init__(folder)


def without_login() -> None:
    """No client of tables finds credentials of its own."""
    assert not [name for name in os.environ if name.startswith("AWS_") and "KEY" in name]
