"""Listings through boto3, against a listing made the plain way in Python."""

import itertools
from urllib.parse import quote

import signed_http
from cases import case
from stage import same

KEYS = [
    "a",
    "a!",
    "a/",
    "a//b",
    "a/b",
    "a/b/c",
    "a/b/d",
    "a0",
    "b/1",
    "b/2",
    "b/3",
    "b/\U0010ffff",
    "b0",
    "with space/x +y",
    "with%20escape/x&y",
    "\x01control/\x02",
    "<xml>&amp;\"'/x",
    "é/1",
    "é/2",
    "\uffff",
    "🦊/1",
    "/",
    "//",
    "/x",
    "..",
    "z" * 1000,
]


def plain(keys, prefix="", delimiter="", after=""):
    """What a listing is made of: keys and common prefixes, in the order of their UTF-8 bytes."""
    entries = []
    for key in sorted(keys, key=str.encode):
        if not key.startswith(prefix):
            continue
        cut = key.find(delimiter, len(prefix)) if delimiter else -1
        entry = key if cut < 0 else key[: cut + len(delimiter)]
        if entry.encode() > after.encode() and entry not in entries[-1:]:
            if not (cut >= 0 and after.startswith(entry)):
                entries.append(entry)
    return entries


def fill(s3, bucket, keys=KEYS):
    for key in keys:
        s3.put_object(Bucket=bucket, Key=key, Body=key.encode())


def entries(page):
    """Keys and common prefixes of a page, in order."""
    found = [entry["Key"] for entry in page.get("Contents", [])]
    found += [entry["Prefix"] for entry in page.get("CommonPrefixes", [])]
    return sorted(found, key=str.encode)


QUERIES = list(
    itertools.product(
        ["", "a", "a/", "a/b", "b/", "é", "with", "\x01", "none", "/", "//"],
        ["", "/", "b", "/b", "é/", "+", "%"],
        [1, 2, 3, 1000],
    )
)


@case
def version_2_pages_are_the_plain_listing(s3, bucket):
    fill(s3, bucket)
    for prefix, delimiter, limit in QUERIES:
        query = {"Bucket": bucket, "Prefix": prefix, "Delimiter": delimiter, "MaxKeys": limit}
        got = []
        for page in s3.get_paginator("list_objects_v2").paginate(**query):
            same(page["KeyCount"], len(entries(page)), f"KeyCount of {query}")
            same(page["KeyCount"] <= limit, True, f"size of a page of {query}")
            got += entries(page)
        same(got, plain(KEYS, prefix, delimiter), f"V2 {query}")


@case
def version_1_pages_are_the_plain_listing(s3, bucket):
    fill(s3, bucket)
    for prefix, delimiter, limit in QUERIES:
        query = {"Bucket": bucket, "Prefix": prefix, "Delimiter": delimiter, "MaxKeys": limit}
        got, marker = [], ""
        while True:
            page = s3.list_objects(**query, Marker=marker)
            got += entries(page)
            # S3: NextMarker is there only with a delimiter.
            same("NextMarker" in page, bool(page["IsTruncated"] and delimiter), f"NextMarker of {query}")
            if not page["IsTruncated"]:
                break
            marker = page.get("NextMarker") or page["Contents"][-1]["Key"]
        same(got, plain(KEYS, prefix, delimiter), f"V1 {query}")


@case
def listings_start_after_any_string(s3, bucket):
    fill(s3, bucket)
    for after, delimiter in itertools.product(["a", "a/", "a/b", "a/bb", "b/9", "c", "é/1", "zzz"], ["", "/"]):
        wanted = plain(KEYS, "", delimiter, after)
        page = s3.list_objects_v2(Bucket=bucket, StartAfter=after, Delimiter=delimiter)
        same((entries(page), page["StartAfter"]), (wanted, after), f"start-after {after!r} {delimiter!r}")
        page = s3.list_objects(Bucket=bucket, Marker=after, Delimiter=delimiter)
        same((entries(page), page["Marker"]), (wanted, after), f"marker {after!r} {delimiter!r}")


@case
def an_entry_says_what_the_object_is(s3, bucket):
    put = s3.put_object(Bucket=bucket, Key="key", Body=b"12345")
    head = s3.head_object(Bucket=bucket, Key="key")
    plainly = s3.list_objects_v2(Bucket=bucket)["Contents"][0]
    wanted = {"Key": "key", "ETag": put["ETag"], "Size": 5, "StorageClass": "STANDARD"}
    same({name: plainly.get(name) for name in wanted}, wanted, "V2")
    same("Owner" in plainly, False, "Owner in V2 unasked")
    same(abs((plainly["LastModified"] - head["LastModified"]).total_seconds()) < 1, True, "LastModified")
    same(plainly.get("ChecksumAlgorithm"), ["CRC32"], "ChecksumAlgorithm")
    owner = s3.list_buckets()["Owner"]["ID"]
    fetched = s3.list_objects_v2(Bucket=bucket, FetchOwner=True)["Contents"][0]
    same(fetched["Owner"]["ID"], owner, "Owner in V2")
    same(s3.list_objects(Bucket=bucket)["Contents"][0]["Owner"]["ID"], owner, "Owner in V1")


@case
def the_edges_of_max_keys(s3, bucket):
    fill(s3, bucket, ["a", "b/c", "b/d"])
    for call in (s3.list_objects, s3.list_objects_v2):
        page = call(Bucket=bucket, MaxKeys=0)
        same((entries(page), page["IsTruncated"], page["MaxKeys"]), ([], False, 0), "max-keys=0")
        page = call(Bucket=bucket, MaxKeys=5000)
        same((entries(page), page["MaxKeys"]), (["a", "b/c", "b/d"], 1000), "max-keys=5000")
        page = call(Bucket=bucket, MaxKeys=2, Delimiter="/")
        same((entries(page), page["IsTruncated"]), (["a", "b/"], False), "a last common prefix is not truncated")


@case
def keys_are_encoded_only_where_asked(s3, bucket):
    fill(s3, bucket, ["a b+c%/é", "<&>"])
    answer = signed_http.send("GET", f"/{bucket}?list-type=2")
    for text in ("<Key>a b+c%/é</Key>", "<Key>&lt;&amp;&gt;</Key>"):
        same(text.encode() in answer.body, True, f"{text} in {answer!r}")
    same(b"<EncodingType>" in answer.body, False, repr(answer))
    answer = signed_http.send("GET", f"/{bucket}?encoding-type=url&prefix=a%20b%2B&delimiter=%25")
    for text in ("<EncodingType>url</EncodingType>", "%2B", "%25"):
        same(text.encode() in answer.body, True, f"{text} in {answer!r}")
    same(b"+" in answer.body.replace(b"a+b", b""), False, f"a bare + in {answer!r}")


@case
def a_token_of_another_making_is_refused(s3, bucket):
    answer = signed_http.send("GET", f"/{bucket}?continuation-token={quote('no token of ours')}&list-type=2")
    same((answer.status, answer.code), (400, "InvalidArgument"), repr(answer))


@case
def a_page_follows_on_though_its_last_key_is_gone(s3, bucket):
    fill(s3, bucket, [f"{number:02d}" for number in range(10)])
    first = s3.list_objects_v2(Bucket=bucket, MaxKeys=4)
    for key in ("03", "04"):
        s3.delete_object(Bucket=bucket, Key=key)
    rest = s3.list_objects_v2(Bucket=bucket, ContinuationToken=first["NextContinuationToken"])
    same(entries(rest), ["05", "06", "07", "08", "09"], "the rest")
    same(rest["ContinuationToken"], first["NextContinuationToken"], "the token it was asked with")
