"""Who may not is refused as Google refuses it, and a token is worth nothing once its account is gone.

    gcs_access.py KEY_FILE DATA_DIR

The key may read and list; everybody may read.
"""

import json
import sys
from pathlib import Path

import requests
from google.api_core import exceptions

from gcs_stage import client
from stage import ENDPOINT, client as s3_client, report, same

BUCKET = "stage-product"


def main():
    key_file, data_dir = sys.argv[1:]
    s3_client().put_object(Bucket=BUCKET, Key="a", Body=b"x")
    gcs = client(key_file)
    bucket = gcs.bucket(BUCKET)
    same((bucket.exists(), [blob.name for blob in gcs.list_blobs(bucket)]), (True, ["a"]), "reading and listing")
    same(bucket.blob("a").download_as_bytes(), b"x", "downloading")
    for call in (
        lambda: bucket.blob("b").upload_from_string("x"),
        lambda: bucket.blob("a").delete(),
        lambda: bucket.blob("b").rewrite(bucket.blob("a")),
        lambda: gcs.create_bucket("another-bucket"),
    ):
        try:
            call()
            raise AssertionError("a write was not refused")
        except exceptions.Forbidden as error:
            same(error.code, 403, "the status")

    object_url = f"{ENDPOINT}/storage/v1/b/{BUCKET}/o/a"
    unknown = requests.delete(object_url, timeout=60)
    same((unknown.status_code, unknown.json()["error"]["errors"][0]["reason"]), (401, "required"), "anonymous")
    same("WWW-Authenticate" in unknown.headers, True, "the challenge")
    same(requests.get(object_url, timeout=60).status_code, 200, "anonymous reading")
    for header in ("Bearer x", "Bearer a.b.c", "Basic eDp5"):
        answer = requests.get(object_url, headers={"Authorization": header}, timeout=60)
        same((answer.status_code, answer.json()["error"]["errors"][0]["reason"]), (401, "authError"), header)
    for form in ({}, {"grant_type": "password"}, {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer"}):
        answer = requests.post(f"{ENDPOINT}/__gcs__/token", data=form, timeout=60)
        same((answer.status_code, "error" in answer.json()), (400, True), f"a token for {form}")

    token = {"Authorization": f"Bearer {gcs._credentials.token}"}
    same(requests.get(object_url, headers=token, timeout=60).status_code, 200, "the token")
    key_id = json.loads(Path(key_file).read_text())["private_key_id"]
    (Path(data_dir) / "service-accounts" / f"{key_id}.json").unlink()
    same(requests.get(object_url, headers=token, timeout=60).status_code, 401, "the token without its account")
    report(checked=1)


main()
