"""What the programs here share: where the server is, and how a program reports.

Each program is run by a Rust test, with the endpoint and the credential in the usual AWS
variables. It ends with one JSON object on the last line of its output; any failure is a
traceback and a non-zero exit code.
"""

import hashlib
import json
import os
import random
import sys
import tempfile
from pathlib import Path

import boto3
from botocore.config import Config

ENDPOINT = os.environ["AWS_ENDPOINT_URL"]
ACCESS_KEY_ID = os.environ["AWS_ACCESS_KEY_ID"]
SECRET_ACCESS_KEY = os.environ["AWS_SECRET_ACCESS_KEY"]

# The worst that beetmover is asked to publish: what yarl un-escapes after boto3 has signed the
# escaped form, what quote() and unquote_plus() disagree on, and what is not ASCII.
ODD_NAMES = [
    "Firefox Setup 141.0.exe",
    "a&b.txt.asc",
    "a=b.asc",
    "a@b.asc",
    "a:b.asc",
    "a,b.asc",
    "a;b.asc",
    "a'b.asc",
    "a(b).asc",
    "a!b.asc",
    "a*b.asc",
    "a+b.asc",
    "a b+c d.asc",
    "100%.asc",
    "a%20b.asc",
    "a#b?c.asc",
    "a~b[c]{d}|e^f`g.asc",
    "héllo-日本-🦊.asc",
    'a"b<c>d\\e.asc',
]


def content(name, size):
    """Bytes that are the same each time for a name."""
    return random.Random(name).randbytes(size)


def md5(data):
    return hashlib.md5(data).hexdigest()


def client(**options):
    """A boto3 client of its own session, so that nothing is shared with the code under test."""
    config = {"retries": {"total_max_attempts": 1}, "max_pool_connections": 32} | options.pop("config", {})
    keys = {"aws_access_key_id": ACCESS_KEY_ID, "aws_secret_access_key": SECRET_ACCESS_KEY}
    options = {"region_name": "us-east-1"} | keys | options
    return boto3.session.Session().client("s3", config=Config(**config), **options)


def list_all(s3, bucket, prefix=""):
    """Every key under a prefix with its listing entry, by ListObjectsV2."""
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    return {entry["Key"]: entry for page in pages for entry in page.get("Contents", [])}


def same(got, wanted, what):
    """Fails with both values if they differ."""
    if got != wanted:
        shown = [repr(value) if len(repr(value)) < 2000 else repr(value)[:2000] + "…" for value in (got, wanted)]
        raise AssertionError(f"{what}:\n   got {shown[0]}\nwanted {shown[1]}")


def temporary_folder():
    """A new folder; the harness sets TMPDIR and removes it with the server."""
    return Path(tempfile.mkdtemp(prefix="understudy-client-"))


def report(**facts):
    """The last line of output: what the Rust test reads."""
    sys.stdout.flush()
    print(json.dumps(facts))
