"""The JSON dialect through google-cloud-storage: a case for each fact, each in a bucket of its own.

    gcs_surface.py KEY_FILE
"""

import datetime
import io
import sys
import traceback
from concurrent.futures import ThreadPoolExecutor

import requests
from google.api_core import exceptions
from google.cloud.exceptions import NotFound

from cases import CASES, case
from gcs_stage import client, crc32c, md5, resource
from stage import ENDPOINT, client as s3_client, content, report, same

MIB = 1024 * 1024


def refused(kind, call, *arguments, **options):
    """Makes a call that must be refused with this exception; gives it back."""
    try:
        answer = call(*arguments, **options)
    except kind as error:
        return error
    raise AssertionError(f"{call} was not refused with {kind.__name__}: {answer}")


def names(iterator):
    return [blob.name for blob in iterator]


@case
def what_is_uploaded_in_each_way_comes_back(gcs, bucket):
    for size in (0, 1, 65_536, 65_537, 3 * MIB):
        body = content(f"media-{size}", size)
        url = f"{ENDPOINT}/upload/storage/v1/b/{bucket.name}/o"
        headers = {"Content-Type": "text/x-media", "Authorization": f"Bearer {gcs._credentials.token}"}
        parameters = {"uploadType": "media", "name": f"media/{size}"}
        answer = requests.post(url, params=parameters, data=body, headers=headers, timeout=60)
        same((answer.status_code, answer.json()["md5Hash"]), (200, md5(body)), f"a media upload of {size}")
        bucket.blob(f"multipart/{size}").upload_from_string(body, content_type="text/x-multipart")
        bucket.blob(f"chunks/{size}", chunk_size=MIB).upload_from_file(io.BytesIO(body), content_type="text/x-chunks")
        for way in ("media", "multipart", "chunks"):
            blob = bucket.get_blob(f"{way}/{size}")
            same(blob.download_as_bytes() == body, True, f"bytes of {way}/{size}")
            same((blob.size, blob.content_type), (size, f"text/x-{way}"), f"{way}/{size}")
            same((blob.md5_hash, blob.crc32c), (md5(body), crc32c(body)), f"digests of {way}/{size}")


@case
def chunks_may_have_any_multiple_of_256_kib(gcs, bucket):
    body = content("chunks", 5 * MIB + 11)
    for chunk in (256 * 1024, 768 * 1024, 4 * MIB):
        blob = bucket.blob(str(chunk), chunk_size=chunk)
        blob.upload_from_file(io.BytesIO(body))
        same((blob.md5_hash, blob.crc32c), (md5(body), crc32c(body)), f"digests with chunks of {chunk}")
    unknown = bucket.blob("unknown-size", chunk_size=256 * 1024)
    with unknown.open("wb") as writer:
        writer.write(body)
    same(bucket.blob("unknown-size").download_as_bytes() == body, True, "an upload of unknown size")


@case
def ranges_are_206(gcs, bucket):
    body = content("ranges", 100_000)
    blob = bucket.blob("a")
    blob.upload_from_string(body)
    for start, end in ((0, 0), (5, 99), (99_999, None), (70_000, 200_000)):
        wanted = body[start : None if end is None else end + 1]
        same(blob.download_as_bytes(start=start, end=end) == wanted, True, f"bytes {start}-{end}")
    same(bucket.blob("a", chunk_size=256 * 1024).download_as_bytes() == body, True, "in chunks")
    refused(exceptions.RequestRangeNotSatisfiable, blob.download_as_bytes, start=100_000)
    with blob.open("rb") as reader:
        reader.seek(1000)
        same(reader.read(10), body[1000:1010], "a file-like reader")


@case
def digests_that_do_not_match_are_refused_and_nothing_is_stored(gcs, bucket):
    url = f"{ENDPOINT}/upload/storage/v1/b/{bucket.name}/o"
    token = {"Authorization": f"Bearer {gcs._credentials.token}"}
    for header in (f"crc32c={crc32c(b'other')}", f"md5={md5(b'other')}"):
        answer = requests.post(
            url, params={"uploadType": "media", "name": "a"}, data=b"x", headers=token | {"x-goog-hash": header}, timeout=60
        )
        same((answer.status_code, answer.json()["error"]["errors"][0]["reason"]), (400, "invalid"), header)
        started = requests.post(url, params={"uploadType": "resumable", "name": "a"}, headers=token, timeout=60)
        answer = requests.put(started.headers["Location"], data=b"x", headers={"x-goog-hash": header}, timeout=60)
        same(answer.status_code, 400, f"resumable: {header}")
        answer = requests.put(started.headers["Location"], headers={"Content-Range": "bytes */*"}, timeout=60)
        same(answer.status_code, 404, f"the session after it: {header}")
    for document in ({"crc32c": crc32c(b"other")}, {"md5Hash": md5(b"other")}):
        started = requests.post(url, params={"uploadType": "resumable"}, json={"name": "a"} | document, headers=token, timeout=60)
        answer = requests.put(started.headers["Location"], data=b"x", timeout=60)
        same(answer.status_code, 400, str(document))
    same(bucket.blob("a").exists(), False, "the object")


@case
def a_session_answers_how_far_it_is(gcs, bucket):
    url = f"{ENDPOINT}/upload/storage/v1/b/{bucket.name}/o"
    token = {"Authorization": f"Bearer {gcs._credentials.token}"}
    size = 600 * 1024
    body = content("session", size)
    headers = token | {"X-Upload-Content-Length": str(size), "X-Upload-Content-Type": "text/x-session"}
    started = requests.post(url, params={"uploadType": "resumable"}, json={"name": "a b"}, headers=headers, timeout=60)
    same(started.status_code, 200, "the start")
    session = started.headers["Location"]

    def put(data, content_range):
        return requests.put(session, data=data, headers={"Content-Range": content_range}, timeout=60)

    ask = put(b"", f"bytes */{size}")
    same((ask.status_code, ask.headers.get("Range")), (308, None), "before the first chunk")
    chunk = put(body[: 256 * 1024], f"bytes 0-{256 * 1024 - 1}/{size}")
    same((chunk.status_code, chunk.headers["Range"]), (308, "bytes=0-262143"), "after the first chunk")
    same(put(body[:100], "bytes 262144-262243/*").status_code, 400, "a chunk that is too small")
    same(put(body[400_000:], f"bytes 400000-{size - 1}/{size}").status_code, 400, "a gap")
    same(put(b"", "bytes */7").status_code, 400, "another size than the one announced")
    # What is there already is skipped, so a client may send it again.
    overlap = put(body[100_000 : 512 * 1024], f"bytes 100000-{512 * 1024 - 1}/{size}")
    same((overlap.status_code, overlap.headers["Range"]), (308, "bytes=0-524287"), "an overlapping chunk")
    done = put(body[512 * 1024 :], f"bytes {512 * 1024}-{size - 1}/{size}")
    same((done.status_code, done.json()["md5Hash"]), (200, md5(body)), "the last chunk")
    again = put(b"", f"bytes */{size}")
    same((again.status_code, again.json()["generation"]), (200, done.json()["generation"]), "asked again")
    same(bucket.get_blob("a b").content_type, "text/x-session", "the type")

    started = requests.post(url, params={"uploadType": "resumable", "name": "c"}, headers=token, timeout=60)
    same(requests.delete(started.headers["Location"], timeout=60).status_code, 499, "a cancelled session")
    same(requests.put(started.headers["Location"], data=b"x", timeout=60).status_code, 404, "after that")


@case
def a_broken_connection_keeps_what_had_come(gcs, bucket):
    import http.client
    from urllib.parse import urlsplit

    url = f"{ENDPOINT}/upload/storage/v1/b/{bucket.name}/o"
    token = {"Authorization": f"Bearer {gcs._credentials.token}"}
    body = content("broken", 2 * MIB)
    started = requests.post(url, params={"uploadType": "resumable", "name": "a"}, headers=token, timeout=60)
    session = started.headers["Location"]
    parts = urlsplit(session)
    connection = http.client.HTTPConnection(parts.netloc, timeout=60)
    connection.putrequest("PUT", f"{parts.path}?{parts.query}")
    connection.putheader("Content-Length", str(len(body)))
    connection.putheader("Content-Range", f"bytes 0-{len(body) - 1}/{len(body)}")
    connection.endheaders()
    connection.send(body[:MIB])
    connection.close()
    # The next request takes over: what of the broken one is stored by then counts, the rest is sent.
    ask = requests.put(session, headers={"Content-Range": f"bytes */{len(body)}"}, timeout=60)
    first = int(ask.headers["Range"].split("-")[1]) + 1 if "Range" in ask.headers else 0
    same(0 <= first <= MIB, True, f"{first} bytes were kept")
    headers = {"Content-Range": f"bytes {first}-{len(body) - 1}/{len(body)}"}
    done = requests.put(session, data=body[first:], headers=headers, timeout=60)
    same((done.status_code, done.json()["md5Hash"]), (200, md5(body)), "the end")
    same(bucket.blob("a").download_as_bytes() == body, True, "the bytes")


@case
def preconditions_are_412_and_304(gcs, bucket):
    blob = bucket.blob("a")
    blob.upload_from_string("1", if_generation_match=0)
    refused(exceptions.PreconditionFailed, blob.upload_from_string, "2", if_generation_match=0)
    refused(exceptions.PreconditionFailed, blob.upload_from_string, "2", if_generation_match=1)
    refused(exceptions.PreconditionFailed, blob.upload_from_string, "2", if_metageneration_match=7)
    refused(exceptions.PreconditionFailed, bucket.blob("b").upload_from_string, "2", if_generation_not_match=0)
    blob.upload_from_string("2", if_generation_match=blob.generation, if_metageneration_match=1)
    refused(exceptions.PreconditionFailed, blob.reload, if_generation_match=1)
    refused(exceptions.NotModified, blob.reload, if_generation_not_match=blob.generation)
    refused(exceptions.PreconditionFailed, blob.delete, if_metageneration_match=7)
    refused(NotFound, bucket.blob("a", generation=1).reload)
    refused(NotFound, bucket.blob("a", generation=1).delete)
    copy = bucket.blob("copy")
    refused(exceptions.PreconditionFailed, copy.rewrite, blob, if_source_generation_match=1)
    refused(exceptions.PreconditionFailed, copy.rewrite, blob, if_generation_match=1)
    refused(NotFound, copy.rewrite, bucket.blob("a", generation=1))
    same(bucket.blob("a").download_as_bytes(), b"2", "what is left")
    blob.delete(if_generation_match=blob.generation)
    refused(NotFound, bucket.blob("a").delete)


@case
def many_writers_of_one_name_have_one_winner(gcs, bucket):
    def attempt(number):
        try:
            bucket.blob("a").upload_from_string(str(number), if_generation_match=0)
            return number
        except exceptions.PreconditionFailed:
            return None

    with ThreadPoolExecutor(8) as pool:
        winners = [number for number in pool.map(attempt, range(16)) if number is not None]
    same(len(winners), 1, "how many won")
    same(bucket.blob("a").download_as_bytes(), str(winners[0]).encode(), "the winner's bytes")


@case
def metadata_is_patched_and_updated(gcs, bucket):
    blob = bucket.blob("a")
    blob.metadata = {"Build-Id": "1", "b": "2"}
    blob.content_language = "de"
    blob.content_disposition = "attachment"
    blob.upload_from_string("x", content_type="text/plain")
    first = resource(bucket.name, "a")
    same(first["metadata"], {"Build-Id": "1", "b": "2"}, "metadata")
    same((first["contentLanguage"], first["contentDisposition"]), ("de", "attachment"), "headers")
    blob.metadata = {"b": None, "c": "3"}
    blob.cache_control = "no-store"
    blob.custom_time = datetime.datetime(2027, 1, 1, tzinfo=datetime.timezone.utc)
    blob.patch()
    seen = resource(bucket.name, "a")
    same(seen["metadata"], {"Build-Id": "1", "c": "3"}, "patched metadata")
    same((seen["generation"], seen["metageneration"]), (first["generation"], "2"), "generations")
    same((seen["cacheControl"], seen["contentLanguage"]), ("no-store", "de"), "patched headers")
    same((seen["timeCreated"], seen["customTime"]), (first["timeCreated"], "2027-01-01T00:00:00.000Z"), "times")
    blob.custom_time = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)
    refused(exceptions.BadRequest, blob.patch)
    blob.reload()
    blob.content_type = "text/x-other"
    blob.update()
    same(resource(bucket.name, "a")["contentType"], "text/x-other", "the type after an update")
    head = s3_client().head_object(Bucket=bucket.name, Key="a")
    same((head["ContentType"], head["Metadata"]), ("text/x-other", {"build-id": "1", "c": "3"}), "through S3")


@case
def rewrite_takes_the_metadata_that_is_sent_or_the_sources(gcs, bucket):
    blob = bucket.blob("a")
    blob.metadata = {"x": "1"}
    blob.custom_time = datetime.datetime(2027, 1, 1, tzinfo=datetime.timezone.utc)
    blob.upload_from_string(content("rewrite", 300_000), content_type="text/x-source")
    same(bucket.blob("b").rewrite(blob), (None, 300_000, 300_000), "the progress")
    same({"x": "1"}, resource(bucket.name, "b")["metadata"], "the source's metadata")
    target = bucket.blob("c")
    target.content_type = "text/x-target"
    target.rewrite(blob)
    seen = resource(bucket.name, "c")
    same((seen["contentType"], seen.get("metadata"), seen.get("customTime")), ("text/x-target", None, None), "what was sent")
    copy = bucket.copy_blob(blob, bucket, "d")
    same((copy.md5_hash, copy.metadata), (blob.md5_hash, {"x": "1"}), "copyTo")
    bucket.rename_blob(copy, "e")
    same(names(gcs.list_blobs(bucket)), ["a", "b", "c", "e"], "after a rename")
    refused(NotFound, bucket.blob("f").rewrite, bucket.blob("none"))


@case
def compose_joins_objects(gcs, bucket):
    bodies = [content(f"part-{number}", size) for number, size in enumerate((5, 100_000, 0, 70_000))]
    blobs = [bucket.blob(str(number)) for number in range(len(bodies))]
    for blob, body in zip(blobs, bodies):
        blob.upload_from_string(body)
    whole = bucket.blob("whole")
    whole.content_type = "text/x-whole"
    whole.compose(blobs)
    joined = b"".join(bodies)
    same((whole.md5_hash, whole.crc32c, whole.size), (md5(joined), crc32c(joined), len(joined)), "the composed object")
    whole.compose([whole, blobs[0]])
    same(whole.download_as_bytes() == joined + bodies[0], True, "an object composed with itself")
    for blob in blobs:
        blob.delete()
    same(whole.download_as_bytes() == joined + bodies[0], True, "after its parts are gone")
    refused(NotFound, bucket.blob("x").compose, [bucket.blob("none")])
    refused(exceptions.PreconditionFailed, bucket.blob("x").compose, [whole], if_generation_match=7)
    same(names(gcs.list_blobs(bucket)), ["whole"], "what failed left nothing")


@case
def listings_page_through_5000_names_with_a_delimiter(gcs, bucket):
    token = gcs._credentials.token

    def upload(numbers):
        with requests.Session() as session:
            for number in numbers:
                url = f"{ENDPOINT}/upload/storage/v1/b/{bucket.name}/o?uploadType=media&name=d{number % 10}%2Ff{number:04}"
                answer = session.post(url, data=b"x", headers={"Authorization": f"Bearer {token}"}, timeout=60)
                same(answer.status_code, 200, f"upload {number}")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(upload, [range(start, 5000, 8) for start in range(8)]))
    wanted = sorted(f"d{number % 10}/f{number:04}" for number in range(5000))
    same(names(gcs.list_blobs(bucket)) == wanted, True, "all names, by pages of the server")
    same(names(gcs.list_blobs(bucket, page_size=333)) == wanted, True, "all names, by pages of 333")
    tops = gcs.list_blobs(bucket, delimiter="/", page_size=3)
    same((names(tops), sorted(tops.prefixes)), ([], [f"d{number}/" for number in range(10)]), "the tops")
    below = gcs.list_blobs(bucket, prefix="d7/", delimiter="/", page_size=100)
    same((names(below), below.prefixes), ([name for name in wanted if name.startswith("d7/")], set()), "below one")
    window = names(gcs.list_blobs(bucket, start_offset="d3/f0103", end_offset="d3/f0143", page_size=2))
    same(window, ["d3/f0103", "d3/f0113", "d3/f0123", "d3/f0133"], "offsets")
    globbed = names(gcs.list_blobs(bucket, match_glob="d{1,2}/f000*", page_size=1))
    same(globbed, ["d1/f0001", "d2/f0002"], "a glob")
    same(names(gcs.list_blobs(bucket, max_results=7)), wanted[:7], "max_results")


@case
def folders_and_fields_are_listed_as_asked(gcs, bucket):
    for name in ("a/", "a/b", "c", "é/ü"):
        bucket.blob(name).upload_from_string("x")
    plain = gcs.list_blobs(bucket, delimiter="/")
    same((names(plain), plain.prefixes), (["c"], {"a/", "é/"}), "with a delimiter")
    trailing = gcs.list_blobs(bucket, delimiter="/", include_trailing_delimiter=True)
    same((names(trailing), trailing.prefixes), (["a/", "c"], {"a/", "é/"}), "with trailing delimiters")
    get = gcs._connection.api_request
    fields = {"fields": "items(name,size),nextPageToken", "maxResults": 1}
    page = get("GET", f"/b/{bucket.name}/o", fields)
    same((page["items"], sorted(page)), ([{"name": "a/", "size": "1"}], ["items", "nextPageToken"]), "fields")
    same(get("GET", f"/b/{bucket.name}", {"fields": "name"}), {"name": bucket.name}, "a bucket's name")
    same(get("GET", f"/b/{bucket.name}/o", {"prefix": "none"}), {"kind": "storage#objects"}, "nothing")
    error = refused(exceptions.BadRequest, get, "GET", f"/b/{bucket.name}/o", {"fields": "items("})
    same(error.errors[0]["reason"], "invalidParameter", "a broken mask")


@case
def a_batch_deletes_and_patches(gcs, bucket):
    for number in range(30):
        bucket.blob(f"f/{number}").upload_from_string(str(number))
    with gcs.batch():
        for number in range(20):
            bucket.blob(f"f/{number}").delete()
    same(len(names(gcs.list_blobs(bucket))), 10, "what is left")
    with gcs.batch():
        for number in range(20, 30):
            blob = bucket.blob(f"f/{number}")
            blob.content_type = "text/x-batch"
            blob.patch()
    same({blob.content_type for blob in gcs.list_blobs(bucket)}, {"text/x-batch"}, "types")

    def one_fails():
        with gcs.batch():
            bucket.blob("f/20").delete()
            bucket.blob("none").delete()

    refused(NotFound, one_fails)
    same(bucket.blob("f/20").exists(), False, "the one that did not fail")
    bucket.delete_blobs([bucket.blob(f"f/{number}") for number in range(21, 30)])
    same(names(gcs.list_blobs(bucket)), [], "in the end")


@case
def buckets_come_and_go(gcs, bucket):
    made = gcs.create_bucket("made-by-gcs", location="EU")
    same((made.location, made.storage_class), ("EU", "STANDARD"), "the new bucket")
    refused(exceptions.Conflict, gcs.create_bucket, "made-by-gcs")
    same("made-by-gcs" in [found.name for found in gcs.list_buckets()], True, "the list")
    made.blob("a").upload_from_string("x")
    refused(exceptions.Conflict, made.delete)
    made.delete(force=True)
    same(gcs.bucket("made-by-gcs").exists(), False, "the bucket")
    refused(NotFound, gcs.get_bucket, "made-by-gcs")
    refused(NotFound, gcs.bucket("made-by-gcs").blob("a").upload_from_string, "x")
    refused(NotFound, lambda: names(gcs.list_blobs("made-by-gcs")))
    bucket.reload()
    bucket.storage_class = "COLDLINE"
    refused(exceptions.BadRequest, bucket.patch)


@case
def metadata_may_have_any_name(gcs, bucket):
    blob = bucket.blob("folder/")
    blob.metadata = {"arrow/gcsfs": "1", "build": "7"}
    blob.upload_from_string("x")
    same(bucket.get_blob("folder/").metadata, {"arrow/gcsfs": "1", "build": "7"}, "in JSON")
    found = s3_client().head_object(Bucket=bucket.name, Key="folder/")
    same((found["Metadata"], found["MissingMeta"]), ({"build": "7"}, 1), "in S3's headers")


@case
def a_move_renames(gcs, bucket):
    body = content("moved", 100_000)
    blob = bucket.blob("old/name")
    blob.metadata = {"a": "b"}
    blob.upload_from_string(body)
    moved = bucket.move_blob(blob, "new/name", if_generation_match=0)
    same((moved.name, moved.md5_hash, moved.metadata), ("new/name", md5(body), {"a": "b"}), "the new name")
    same(names(bucket.list_blobs()), ["new/name"], "the listing")
    refused(NotFound, bucket.move_blob, blob, "other")


@case
def everything_has_an_md5_on_every_way(gcs, bucket):
    s3 = s3_client()
    body = content("multipart", 11 * MIB)
    upload = s3.create_multipart_upload(Bucket=bucket.name, Key="s3/multipart", ContentType="text/x-multipart")
    parts = []
    for number, start in enumerate(range(0, len(body), 5 * MIB), 1):
        answer = s3.upload_part(
            Bucket=bucket.name, Key="s3/multipart", UploadId=upload["UploadId"], PartNumber=number, Body=body[start : start + 5 * MIB]
        )
        parts.append({"PartNumber": number, "ETag": answer["ETag"]})
    s3.complete_multipart_upload(
        Bucket=bucket.name, Key="s3/multipart", UploadId=upload["UploadId"], MultipartUpload={"Parts": parts}
    )
    listed = {blob.name: blob for blob in gcs.list_blobs(bucket)}["s3/multipart"]
    same((listed.md5_hash, listed.crc32c), (md5(body), crc32c(body)), "of an S3 multipart upload, listed")
    same(bucket.blob("s3/multipart").download_as_bytes() == body, True, "its bytes")
    copy = bucket.copy_blob(listed, bucket, "copy")
    same(copy.md5_hash, md5(body), "of a copy of it")


def main():
    gcs = client(sys.argv[1])
    s3 = s3_client()
    passed, failed = [], []
    for number, function in enumerate(CASES):
        if len(sys.argv) > 2 and sys.argv[2] not in function.__name__:
            continue
        name = f"case-{number:03d}-gcs"
        try:
            s3.create_bucket(Bucket=name)
            # The first call fetches a token, which cases that speak plain HTTP take from here.
            bucket = gcs.get_bucket(name)
            function(gcs, bucket)
            passed.append(function.__name__)
        except Exception:
            print(f"--- {function.__name__}\n{traceback.format_exc()}", file=sys.stderr)
            failed.append(function.__name__)
    if failed:
        sys.exit(f"{len(passed)} cases passed, {len(failed)} failed: {', '.join(failed)}")
    report(passed=len(passed))


main()
