"""A deployment whose sidecar speaks S3, and a repository of it as clients are told of it."""

import os
import subprocess
import uuid
from dataclasses import dataclass
from pathlib import Path

import boto3
from botocore.config import Config
from servers import Deployment, free_port, until_open

REGION = "us-east-1"
BUCKET_BELOW = "below"


class Gateway(Deployment):
    """On local files."""

    flags = ["--s3-listen", "127.0.0.1:0"]

    @property
    def endpoint(self) -> str:
        return self.sidecar.told["s3_listen"]


class InMemory(Gateway):
    """In the memory of the one sidecar."""

    def __init__(self, folder: Path):
        super().__init__(folder, "memory://")


class OnS3(Gateway):
    """On another S3."""

    def __init__(self, folder: Path):
        port = free_port()
        self._below = subprocess.Popen(
            [os.environ["S3_BELOW"], "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        until_open(port, self._below)
        login = {"AWS_ACCESS_KEY_ID": "below", "AWS_SECRET_ACCESS_KEY": "below-below"}
        self.environment = login | {"AWS_ENDPOINT": f"http://127.0.0.1:{port}", "AWS_ALLOW_HTTP": "true", "AWS_REGION": REGION}
        boto3.client("s3", endpoint_url=self.environment["AWS_ENDPOINT"], region_name=REGION, **_login(*login.values())).create_bucket(Bucket=BUCKET_BELOW)
        super().__init__(folder, f"s3://{BUCKET_BELOW}/lake")

    def stop(self) -> None:
        super().stop()
        self._below.kill()
        self._below.wait()


STORAGES = {"file": Gateway, "memory": InMemory, "s3": OnS3}


def _login(key: str, secret: str) -> dict[str, str]:
    return {"aws_access_key_id": key, "aws_secret_access_key": secret}


@dataclass(frozen=True)
class Lake:
    """A repository, which is a bucket, with its branch `main`."""

    deployment: Gateway
    name: str

    @property
    def endpoint(self) -> str:
        return self.deployment.endpoint

    @property
    def host(self) -> str:
        return self.endpoint.removeprefix("http://")

    @property
    def key(self) -> str:
        return self.deployment.key

    @property
    def secret(self) -> str:
        return self.deployment.secret

    @property
    def environment(self) -> dict[str, str]:
        """What the tools of AWS, and those who do as they do, read."""
        return {
            "AWS_ACCESS_KEY_ID": self.key,
            "AWS_SECRET_ACCESS_KEY": self.secret,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_REGION": REGION,
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ALLOW_HTTP": "true",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def boto3(self, **more):
        config = Config(signature_version="s3v4", s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}, **more)
        return boto3.client("s3", endpoint_url=self.endpoint, region_name=REGION, config=config, **_login(self.key, self.secret))

    def url(self, path: str, branch: str = "main") -> str:
        return f"s3://{self.name}/{branch}/{path}"

    def commit(self, message: str = "what was staged", branch: str = "main") -> str:
        """Commits what is staged; the commit's id."""
        path = f"/api/v1/repositories/{self.name}/branches/{branch}/commits"
        return self.deployment.post(path, {"message": message})["id"]

    def policy(self, prefix: str, write: str = "commit") -> None:
        rules = {"rules": [{"pattern": "main", "prefix": prefix, "write": write}]}
        self.deployment.request("PUT", f"/onward/v1/repositories/{self.name}/write_policy", rules)

    def log(self, branch: str = "main") -> list[dict]:
        """The newest commits of a branch."""
        path = f"/api/v1/repositories/{self.name}/refs/{branch}/commits?amount=1000"
        return self.deployment.request("GET", path)["results"]

    def tag(self, name: str, ref: str = "main") -> None:
        self.deployment.post(f"/api/v1/repositories/{self.name}/tags", {"id": name, "ref": ref})

    def keys(self, prefix: str = "main/") -> list[str]:
        pages = self.boto3().get_paginator("list_objects_v2").paginate(Bucket=self.name, Prefix=prefix)
        return [entry["Key"] for page in pages for entry in page.get("Contents", [])]


def lake_of(deployment: Gateway) -> Lake:
    return Lake(deployment, deployment.repository(f"lake-{uuid.uuid4().hex[:8]}"))
