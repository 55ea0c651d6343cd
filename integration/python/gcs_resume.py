"""A resumable upload of 1 GiB that a restart of the server interrupts.

    gcs_resume.py begin KEY_FILE FILE         makes FILE, sends some chunks, and half of one more
    gcs_resume.py end KEY_FILE FILE SESSION   asks how far it is, sends the rest, verifies

The server that answers the second time is another process, on another port.
"""

import base64
import hashlib
import http.client
import os
import sys
from urllib.parse import urlsplit, urlunsplit

import google_crc32c
from google.auth.transport.requests import AuthorizedSession
from google.resumable_media.requests import ResumableUpload

from gcs_stage import client, resource
from stage import ENDPOINT, content, report, same

BUCKET = "stage-product"
NAME = "pub/firefox/nightly/latest-mozilla-central/target 1.tar.xz"
SIZE = 1 << 30
CHUNK = 64 << 20
CHUNKS_BEFORE = 6


def make(path):
    """A file of which every 64 KiB are different."""
    block = bytearray(content("resume", 64 << 10))
    with open(path, "wb") as file:
        for number in range(SIZE // len(block)):
            block[:8] = number.to_bytes(8, "big")
            file.write(block)


def begin(gcs, path):
    make(path)
    transport = AuthorizedSession(gcs._credentials)
    upload = ResumableUpload(f"{ENDPOINT}/upload/storage/v1/b/{BUCKET}/o?uploadType=resumable", CHUNK)
    with open(path, "rb") as stream:
        upload.initiate(transport, stream, {"name": NAME}, "application/x-xz", total_bytes=SIZE)
        for _ in range(CHUNKS_BEFORE):
            upload.transmit_next_chunk(transport)
        same(upload.bytes_uploaded, CHUNKS_BEFORE * CHUNK, "bytes before the restart")
        session = upload.resumable_url
        # The next chunk is on its way when the server is killed: its connection stays open.
        parts = urlsplit(session)
        connection = http.client.HTTPConnection(parts.netloc, timeout=60)
        connection.putrequest("PUT", f"{parts.path}?{parts.query}")
        first = upload.bytes_uploaded
        connection.putheader("Content-Range", f"bytes {first}-{first + CHUNK - 1}/{SIZE}")
        connection.putheader("Content-Length", str(CHUNK))
        connection.endheaders()
        stream.seek(first)
        connection.send(stream.read(CHUNK // 2))
        report(session=session)
        sys.stdout.flush()
        os._exit(0)


def end(gcs, path, session):
    here = urlsplit(ENDPOINT)
    session = urlunsplit(urlsplit(session)._replace(scheme=here.scheme, netloc=here.netloc))
    transport = AuthorizedSession(gcs._credentials)
    upload = ResumableUpload(f"{ENDPOINT}/upload/storage/v1/b/{BUCKET}/o?uploadType=resumable", CHUNK)
    upload._resumable_url = session
    upload._total_bytes = SIZE
    upload._content_type = "application/x-xz"
    upload._invalid = True
    with open(path, "rb") as stream:
        upload._stream = stream
        upload.recover(transport)
        kept = upload.bytes_uploaded
        same(kept >= CHUNKS_BEFORE * CHUNK, True, f"acknowledged bytes outlive the restart, {kept} are there")
        while not upload.finished:
            upload.transmit_next_chunk(transport)
    md5, crc32c = hashlib.md5(), google_crc32c.Checksum()
    with open(path, "rb") as stream:
        while block := stream.read(1 << 20):
            md5.update(block)
            crc32c.update(block)
    seen = resource(BUCKET, NAME)
    wanted = (str(SIZE), base64.b64encode(md5.digest()).decode(), base64.b64encode(crc32c.digest()).decode())
    same((seen["size"], seen["md5Hash"], seen["crc32c"]), wanted, "the object")
    read = hashlib.md5()
    with gcs.bucket(BUCKET).blob(NAME).open("rb", chunk_size=32 << 20) as reader:
        while block := reader.read(32 << 20):
            read.update(block)
    same(read.digest(), md5.digest(), "the bytes that are read")
    report(kept=kept)


def main():
    step, access, *rest = sys.argv[1:]
    gcs = client(access)
    same(gcs.bucket(BUCKET).exists(), True, "bucket.exists()")
    {"begin": begin, "end": end}[step](gcs, *rest)


main()
