"""One object through S3, GCS and the archive: the same bytes, length, type and MD5.

    gcs_faces.py

Objects that are inline, that are blobs, that came by S3 multipart, that came in GCS chunks and that
were composed. Then the checksum task: it lists and reads by unsigned S3 what was uploaded by GCS.
"""

import io
from concurrent.futures import ThreadPoolExecutor

import boto3
import requests
from botocore import UNSIGNED
from botocore.config import Config

from gcs_stage import client, crc32c, md5, resource
from stage import ENDPOINT, client as s3_client, content, list_all, md5 as hexadecimal_md5, report, same

BUCKET = "stage-product"
MIB = 1024 * 1024


def by_s3_multipart(s3, key, body, kind):
    upload = s3.create_multipart_upload(Bucket=BUCKET, Key=key, ContentType=kind)["UploadId"]
    parts = []
    for number, start in enumerate(range(0, len(body), 5 * MIB), 1):
        answer = s3.upload_part(
            Bucket=BUCKET, Key=key, UploadId=upload, PartNumber=number, Body=body[start : start + 5 * MIB]
        )
        parts.append({"PartNumber": number, "ETag": answer["ETag"]})
    s3.complete_multipart_upload(Bucket=BUCKET, Key=key, UploadId=upload, MultipartUpload={"Parts": parts})


def compose(bucket, name, bodies, kind):
    blobs = [bucket.blob(f"{name}.{number}") for number in range(len(bodies))]
    for blob, body in zip(blobs, bodies):
        blob.upload_from_string(body)
    whole = bucket.blob(name)
    whole.content_type = kind
    whole.compose(blobs)


def check(s3, gcs, name, body, kind):
    blob = gcs.bucket(BUCKET).get_blob(name)
    same((blob.size, blob.content_type, blob.md5_hash, blob.crc32c), (len(body), kind, md5(body), crc32c(body)), f"{name}: GCS")
    same(blob.download_as_bytes() == body, True, f"{name}: bytes through GCS")
    answer = s3.get_object(Bucket=BUCKET, Key=name)
    same((answer["ContentLength"], answer["ContentType"]), (len(body), kind), f"{name}: S3")
    same(answer["Body"].read() == body, True, f"{name}: bytes through S3")
    entry = list_all(s3, BUCKET, name)[name]
    same(entry["Size"], len(body), f"{name}: S3's listing")
    if "-" not in answer["ETag"]:
        same(answer["ETag"], f'"{hexadecimal_md5(body)}"', f"{name}: S3's ETag")
    answer = requests.get(f"{ENDPOINT}/{requests.utils.quote(name)}", timeout=60)
    seen = (answer.status_code, answer.headers["Content-Length"], answer.headers["Content-Type"])
    same(seen, (200, str(len(body)), kind), f"{name}: archive")
    same(answer.content == body, True, f"{name}: bytes through the archive")
    for face, host in (("JSON", None), ("XML", "storage.googleapis.com")):
        path = f"/download/storage/v1/b/{BUCKET}/o/{requests.utils.quote(name, safe='')}?alt=media" if host is None else f"/{BUCKET}/{requests.utils.quote(name)}"
        answer = requests.get(ENDPOINT + path, headers={"Host": host} if host else {}, timeout=60)
        same((answer.status_code, answer.content == body, answer.headers["Content-Type"]), (200, True, kind), f"{name}: {face}")


def generate_checksums(names):
    """As the task does: unsigned, ListObjects V1, 20 threads, checksums asked for."""
    s3 = boto3.client("s3", region_name="us-east-1", config=Config(signature_version=UNSIGNED, max_pool_connections=20))
    pages = s3.get_paginator("list_objects").paginate(Bucket=BUCKET, Prefix="pub/checksums/")
    keys = [entry["Key"] for page in pages for entry in page["Contents"]]
    same(sorted(keys), sorted(names), "the keys that are listed")

    def read(key):
        return s3.get_object(Bucket=BUCKET, Key=key, ChecksumMode="ENABLED")["Body"].read()

    with ThreadPoolExecutor(20) as pool:
        for key, body in zip(keys, pool.map(read, keys)):
            same(body == names[key], True, f"bytes of {key}")


def main():
    gcs, s3 = client("anonymous"), s3_client()
    bucket = gcs.bucket(BUCKET)
    objects = {
        "pub/inline + é.txt": (content("inline", 1000), "text/plain"),
        "pub/blob.exe": (content("blob", 200_000), "application/octet-stream"),
        "pub/s3 multipart.mar": (content("multipart", 11 * MIB), "application/x-mar"),
        "pub/chunks.mar": (content("chunks", 3 * MIB), "application/x-chunks"),
        "pub/composed.mar": (content("first", 70_000) + content("second", 100), "application/x-composed"),
        "pub/by-s3": (content("by-s3", 5000), "text/x-s3"),
    }
    names = list(objects)
    for name in names[:2]:
        bucket.blob(name).upload_from_string(objects[name][0], content_type=objects[name][1])
    by_s3_multipart(s3, names[2], *objects[names[2]])
    bucket.blob(names[3], chunk_size=256 * 1024).upload_from_file(
        io.BytesIO(objects[names[3]][0]), content_type=objects[names[3]][1]
    )
    compose(bucket, names[4], [content("first", 70_000), content("second", 100)], objects[names[4]][1])
    s3.put_object(Bucket=BUCKET, Key=names[5], Body=objects[names[5]][0], ContentType=objects[names[5]][1])
    for name, (body, kind) in objects.items():
        check(s3, gcs, name, body, kind)
    same(resource(BUCKET, names[2])["md5Hash"], md5(objects[names[2]][0]), "the MD5 of a multipart upload is kept")

    checksums = {f"pub/checksums/{number}/file {number}.checksums": content(str(number), 900 + number) for number in range(200)}
    for name, body in checksums.items():
        bucket.blob(name).upload_from_string(body, content_type="text/plain")
    generate_checksums(checksums)
    report(objects=len(objects), checksums=len(checksums))


main()
