"""Servers of S3's API on loopback: one that checks signatures, and one that heeds the rest."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import boto3
from moto.server import ThreadedMotoServer
from nanio.app import build_app
from nanio.auth.credentials import StaticCredentialResolver
from nanio.config import Settings

from tests.support.serving import serve

BUCKET = "files"
KEY, SECRET = "tailrace", "a secret of the bucket"


@asynccontextmanager
async def nanio(folder: Path) -> AsyncIterator[str]:
    """Run a server that refuses whatever is not signed just so; yield its address."""
    (folder / BUCKET).mkdir(parents=True)
    app = build_app(Settings(data_dir=folder, credentials=StaticCredentialResolver({KEY: SECRET})))
    async with serve(app) as address:
        yield address


@asynccontextmanager
async def moto() -> AsyncIterator[str]:
    """Run a server that looks at no signature; yield its address."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    address = f"http://{host}:{port}"
    client = boto3.Session().client(
        "s3",
        endpoint_url=address,
        region_name="us-east-1",
        aws_access_key_id=KEY,
        aws_secret_access_key=SECRET,
    )
    client.create_bucket(Bucket=BUCKET)
    yield address
    server.stop()
