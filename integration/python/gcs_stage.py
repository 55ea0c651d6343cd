"""What the programs for the JSON dialect of GCS share: a client, and looking at what it did.

The server's address stands where `stage` reads it. A client is anonymous, as STORAGE_EMULATOR_HOST
makes it, or has a service account's key that the server minted: the way it is chosen is beetmover's,
which has nothing but environment variables.
"""

import base64
import hashlib
import os

import google_crc32c
import requests
from google.cloud import storage

from stage import ENDPOINT


def client(access):
    """A client as beetmover makes it; `access` is `anonymous` or the path of a key file."""
    if access == "anonymous":
        os.environ["STORAGE_EMULATOR_HOST"] = ENDPOINT
    else:
        os.environ["API_ENDPOINT_OVERRIDE"] = ENDPOINT
        os.environ["GOOGLE_APPLICATION_CREDENTIALS"] = access
    return storage.Client()


def resource(bucket, name):
    """An object's resource, by plain HTTP and without a token: another client than the one under test."""
    path = f"{ENDPOINT}/storage/v1/b/{bucket}/o/{requests.utils.quote(name, safe='')}"
    answer = requests.get(path, timeout=60)
    answer.raise_for_status()
    return answer.json()


def md5(data):
    return base64.b64encode(hashlib.md5(data).digest()).decode()


def crc32c(data):
    return base64.b64encode(google_crc32c.Checksum(data).digest()).decode()
