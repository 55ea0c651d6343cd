"""What today's beetmover asks of GCS, call for call and argument for argument, and what must come of it.

    gcs_beetmover.py anonymous|KEY_FILE

The flows: push-to-candidates with an expiry, push-to-releases, the same again, push-to-releases onto
other content, direct push, upload-data, uploads that must not overwrite.
"""

import sys

from google.api_core.exceptions import PreconditionFailed
from google.cloud.storage import Bucket

import gcs_push
from gcs_push import CACHE_CONTROL, Conflict
from gcs_stage import client, crc32c, md5, resource
from stage import ODD_NAMES, client as s3_client, content, list_all, md5 as hexadecimal_md5, report, same, temporary_folder

BUCKET = "stage-product"
EXPIRY = "2027-11-20T21:20:19.123000+00:00"
CANDIDATES = "pub/firefox/candidates/141.0-candidates/build1/"
RELEASES = "pub/firefox/releases/141.0/"
# Past 8 MiB the library uploads resumably.
LARGE = 9 * 1024 * 1024 + 17


def connect(access):
    gcs = client(access)
    same(gcs.bucket(BUCKET).exists(), True, "bucket.exists()")
    same(gcs.bucket("no-such-bucket-here").exists(), False, "bucket.exists() of none")
    return gcs


def upload(gcs, target, path, kind, expiry=None, overwrite=True):
    return gcs_push.upload(gcs, BUCKET, target, path, kind, expiry, overwrite)


def upload_data(gcs, target, data, kind):
    blob = Bucket(gcs, name=BUCKET).blob(target)
    blob.content_type = kind
    blob.cache_control = CACHE_CONTROL
    blob.exists()
    blob.upload_from_string(data, content_type=kind)


def push_to_releases(gcs):
    return gcs_push.push_to_releases(gcs, BUCKET, CANDIDATES, RELEASES)


def check(name, body, kind, custom_time=None):
    """The object as another client sees it, and as S3 does."""
    seen = resource(BUCKET, name)
    wanted = {
        "name": name,
        "size": str(len(body)),
        "md5Hash": md5(body),
        "crc32c": crc32c(body),
        "contentType": kind,
        "cacheControl": CACHE_CONTROL,
        "customTime": custom_time,
    }
    same({field: seen.get(field) for field in wanted}, wanted, f"resource of {name}")
    answer = s3_client().get_object(Bucket=BUCKET, Key=name)
    same(answer["Body"].read() == body, True, f"bytes of {name} through S3")
    same((answer["ContentType"], answer["CacheControl"]), (kind, CACHE_CONTROL), f"headers of {name} through S3")
    same(answer["ETag"], f'"{hexadecimal_md5(body)}"', f"ETag of {name} through S3")


def main():
    gcs = connect(sys.argv[1])
    folder = temporary_folder()
    files = {name: (content(name, 3000), "text/plain") for name in ODD_NAMES}
    files["win64/de/firefox-141.0.complete.mar"] = (content("mar", LARGE), "application/octet-stream")
    files["SHA512SUMS"] = (b"", "text/plain")
    paths = {}
    for number, (name, (body, _)) in enumerate(files.items()):
        paths[name] = folder / str(number)
        paths[name].write_bytes(body)

    for name, (_, kind) in files.items():
        same(upload(gcs, CANDIDATES + name, paths[name], kind, EXPIRY), False, f"{name} was there before")
    for name, (body, kind) in files.items():
        check(CANDIDATES + name, body, kind, "2027-11-20T21:20:19.123Z")

    copied = push_to_releases(gcs)
    same(sorted(copied), sorted(RELEASES + name for name in files), "what push-to-releases copied")
    for name, (body, kind) in files.items():
        # The custom time of a candidate would let the release expire.
        check(RELEASES + name, body, kind, None)
    same(set(list_all(s3_client(), BUCKET, RELEASES)), set(copied), "S3's listing of releases")
    generations = {name: resource(BUCKET, name)["generation"] for name in copied}
    same(push_to_releases(gcs), [], "what a second push-to-releases copied")
    same({name: resource(BUCKET, name)["generation"] for name in copied}, generations, "generations afterwards")

    # Overwriting is what nightly's latest directories need.
    name, (_, kind) = next(iter(files.items()))
    paths[name].write_bytes(b"other content")
    same(upload(gcs, CANDIDATES + name, paths[name], kind), True, f"{name} was there before")
    check(CANDIDATES + name, b"other content", kind, None)
    try:
        push_to_releases(gcs)
        raise AssertionError("the conflict was not found")
    except Conflict as conflict:
        same(str(conflict), RELEASES + name, "the conflict")

    try:
        upload(gcs, CANDIDATES + name, paths[name], kind, overwrite=False)
        raise AssertionError("an upload that must not overwrite did")
    except PreconditionFailed as refused:
        same(refused.code, 412, "the refusal")
    large = "win64/de/firefox-141.0.complete.mar"
    try:
        upload(gcs, CANDIDATES + large, paths[large], "application/octet-stream", overwrite=False)
        raise AssertionError("a large upload that must not overwrite did")
    except PreconditionFailed as refused:
        same(refused.code, 412, "the refusal of a large one")
    upload(gcs, "pub/fenix/releases/141.0/fenix.apk", paths[large], "application/vnd.android.package-archive", overwrite=False)
    check("pub/fenix/releases/141.0/fenix.apk", files[large][0], "application/vnd.android.package-archive")

    for target, data, kind in [
        ("pub/data/hello.txt", "héllo", "text/plain; charset=utf-8"),
        ("pub/data/answer.json", '{"answer": 42}', "application/json"),
        ("pub/data/empty", "", "text/plain"),
    ]:
        upload_data(gcs, target, data, kind)
        check(target, data.encode(), kind)
    report(files=len(files), copied=len(copied))


main()
