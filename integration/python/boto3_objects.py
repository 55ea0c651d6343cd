"""Objects through boto3: keys, metadata, ranges, overrides, copies, deletes, and what is refused."""

import base64
import datetime
import hashlib

import signed_http
from cases import case, refused
from stage import content, list_all, md5, same

ODD_KEYS = [
    "x",
    "x/",
    "x/y",
    "x//y",
    "x///",
    "//",
    "/leading",
    "..",
    ".",
    "a/../b",
    "a/./b",
    "trailing space ",
    " leading space",
    "100%",
    "a%2Fb",
    "a%20b",
    "a+b",
    "a b+c",
    "a&b=c?d#e;f,g:h@i$j!k*l'm(n)o",
    'a"b<c>d\\e^f`g{h|i}j~k[l]',
    "emoji 🦊 日本 é e\u0301",
    "tab\tand\nnewline\r",
    "\x01\x1f\x7f",
    "?versions",
    "key?acl",
    "a" * 1024,
    "é" * 512,
]


@case
def any_key_is_stored_found_listed_copied_and_deleted(s3, bucket):
    for key in ODD_KEYS:
        s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
    same(sorted(list_all(s3, bucket)), sorted(ODD_KEYS), "keys listed")
    for key in ODD_KEYS:
        same(s3.get_object(Bucket=bucket, Key=key)["Body"].read(), key.encode(), f"GET {key!r}")
        same(s3.head_object(Bucket=bucket, Key=key)["ETag"], f'"{md5(key.encode())}"', f"HEAD {key!r}")
        copy = "copy/" + key[:500]
        s3.copy_object(Bucket=bucket, Key=copy, CopySource={"Bucket": bucket, "Key": key})
        same(s3.get_object(Bucket=bucket, Key=copy)["Body"].read(), key.encode(), f"copy of {key!r}")
        s3.delete_object(Bucket=bucket, Key=copy)
        s3.delete_object(Bucket=bucket, Key=key)
        # XML 1.0 has no way to write most control characters: the error must be readable all the same.
        refused(s3.get_object, 404, "NoSuchKey", Bucket=bucket, Key=key)
    same(list_all(s3, bucket), {}, "keys left")


@case
def a_key_of_more_than_1024_bytes_is_refused(s3, bucket):
    refused(s3.put_object, 400, "KeyTooLongError", Bucket=bucket, Key="é" * 512 + "a", Body=b"")


@case
def the_last_write_wins_and_an_empty_object_is_an_object(s3, bucket):
    for body in (b"first", content("second", 100_000), b"", b"last"):
        put = s3.put_object(Bucket=bucket, Key="key", Body=body)
        got = s3.get_object(Bucket=bucket, Key="key")
        same((got["Body"].read(), got["ContentLength"]), (body, len(body)), "body")
        same((put["ETag"], got["ETag"]), (f'"{md5(body)}"',) * 2, "ETags")
        age = datetime.datetime.now(datetime.UTC) - got["LastModified"]
        same(abs(age.total_seconds()) < 60, True, f"age {age}")


@case
def metadata_comes_back_as_it_was_sent(s3, bucket):
    sent = {
        "CacheControl": "public, max-age=14400",
        "ContentDisposition": 'attachment; filename="a b.exe"',
        "ContentEncoding": "gzip",
        "ContentLanguage": "de, en",
        "ContentType": "text/plain; charset=utf-8",
        "Metadata": {"Upper-Case": "Kept as is", "spaces": "a  b", "empty": "", "x": "1" * 1000},
    }
    expires = datetime.datetime(2030, 1, 2, 3, 4, 5, tzinfo=datetime.UTC)
    s3.put_object(Bucket=bucket, Key="key", Body=b"x", Expires=expires, **sent)
    # S3: names of user metadata come back in lower case.
    wanted = sent | {"Metadata": {name.lower(): value for name, value in sent["Metadata"].items()}}
    for call in (s3.get_object, s3.head_object):
        answer = call(Bucket=bucket, Key="key")
        same({name: answer.get(name) for name in wanted}, wanted, call.__name__)
        same(answer["ExpiresString"], "Wed, 02 Jan 2030 03:04:05 GMT", call.__name__)
    s3.put_object(Bucket=bucket, Key="plain", Body=b"x")
    same(s3.head_object(Bucket=bucket, Key="plain")["ContentType"], "binary/octet-stream", "default type")
    refused(s3.put_object, 400, "MetadataTooLarge", Bucket=bucket, Key="key", Metadata={"x": "1" * 2100})


@case
def aws_chunked_is_no_content_encoding(s3, bucket):
    for sent, kept in (("aws-chunked", None), ("gzip,aws-chunked", "gzip"), ("aws-chunked, gzip", "gzip")):
        s3.put_object(Bucket=bucket, Key="key", Body=b"x", ContentEncoding=sent)
        same(s3.head_object(Bucket=bucket, Key="key").get("ContentEncoding"), kept, sent)


@case
def ranges_follow_the_table(s3, bucket):
    body = bytes(range(100))
    s3.put_object(Bucket=bucket, Key="key", Body=body)
    s3.put_object(Bucket=bucket, Key="empty", Body=b"")
    for spec, start, end in (
        ("bytes=0-0", 0, 1),
        ("bytes=0-2", 0, 3),
        ("bytes=5-", 5, 100),
        ("bytes=-3", 97, 100),
        ("bytes=-1000", 0, 100),
        ("bytes=10-1000", 10, 100),
        ("bytes=99-99", 99, 100),
    ):
        for call in (s3.get_object, s3.head_object):
            answer = call(Bucket=bucket, Key="key", Range=spec)
            same(answer["ResponseMetadata"]["HTTPStatusCode"], 206, f"{call.__name__} {spec}")
            same(answer["ContentRange"], f"bytes {start}-{end - 1}/100", spec)
            same(answer["ContentLength"], end - start, spec)
        same(s3.get_object(Bucket=bucket, Key="key", Range=spec)["Body"].read(), body[start:end], spec)
    for spec in ("bytes=100-", "bytes=100-200", "bytes=-0"):
        error = refused(s3.get_object, 416, "InvalidRange", Bucket=bucket, Key="key", Range=spec)
        same((error.get("ActualObjectSize"), error.get("RangeRequested")), ("100", spec), spec)
    refused(s3.get_object, 416, "InvalidRange", Bucket=bucket, Key="empty", Range="bytes=0-0")
    # S3: what it does not understand, and more than one range, is answered with the whole object.
    for spec in ("bytes=5-2", "bytes=a-b", "lines=0-1", "bytes=0-1,4-5"):
        answer = s3.get_object(Bucket=bucket, Key="key", Range=spec)
        same((answer["ResponseMetadata"]["HTTPStatusCode"], answer["Body"].read()), (200, body), spec)


@case
def response_overrides_replace_headers_of_this_answer_only(s3, bucket):
    s3.put_object(Bucket=bucket, Key="key", Body=b"x", ContentType="text/plain")
    overrides = {
        "ResponseCacheControl": "no-cache",
        "ResponseContentDisposition": 'attachment; filename="a b+c.txt"',
        "ResponseContentEncoding": "br",
        "ResponseContentLanguage": "fr",
        "ResponseContentType": "x/y; z=1",
    }
    answer = s3.get_object(Bucket=bucket, Key="key", **overrides, ResponseExpires=datetime.datetime(2031, 1, 1))
    for name, value in overrides.items():
        same(answer[name.removeprefix("Response")], value, name)
    same(answer["ExpiresString"], "Wed, 01 Jan 2031 00:00:00 GMT", "Expires")
    same(s3.get_object(Bucket=bucket, Key="key")["ContentType"], "text/plain", "afterwards")


@case
def deletes_are_idempotent_and_take_many_keys_at_once(s3, bucket):
    keys = [key for key in ODD_KEYS if "\x01" not in key and "\r" not in key]
    for key in keys:
        s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    s3.delete_object(Bucket=bucket, Key="never there")
    wanted = [*keys, "never there"]
    answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": key} for key in wanted]})
    same(sorted(entry["Key"] for entry in answer["Deleted"]), sorted(wanted), "Deleted")
    same((answer.get("Errors"), list_all(s3, bucket)), (None, {}), "what is left")
    s3.put_object(Bucket=bucket, Key="a", Body=b"x")
    quiet = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "a"}, {"Key": "b"}], "Quiet": True})
    same((quiet.get("Deleted"), list_all(s3, bucket)), (None, {}), "quiet")
    many = [{"Key": str(number)} for number in range(1001)]
    refused(s3.delete_objects, 400, "MalformedXML", Bucket=bucket, Delete={"Objects": many})
    refused(s3.delete_objects, 404, "NoSuchBucket", Bucket="no-such-bucket", Delete={"Objects": many[:1]})


@case
def copies_keep_metadata_unless_told_to_replace_it(s3, bucket):
    sent = {"ContentType": "text/plain", "CacheControl": "no-store", "Metadata": {"a": "1"}}
    s3.put_object(Bucket=bucket, Key="source +%", Body=b"source", Tagging="t=1&u=a%20b", **sent)
    source = {"Bucket": bucket, "Key": "source +%"}
    answer = s3.copy_object(Bucket=bucket, Key="kept", CopySource=source)
    same(answer["CopyObjectResult"]["ETag"], f'"{md5(b"source")}"', "ETag")
    head = s3.head_object(Bucket=bucket, Key="kept")
    same({name: head[name] for name in sent}, sent, "metadata kept")
    same(head.get("TagCount"), 2, "tags kept")

    other = {"ContentType": "x/y", "Metadata": {"b": "2"}}
    s3.copy_object(Bucket=bucket, Key="new", CopySource=source, MetadataDirective="REPLACE", **other)
    head = s3.head_object(Bucket=bucket, Key="new")
    same({name: head.get(name) for name in sent}, other | {"CacheControl": None}, "metadata replaced")
    same(head.get("TagCount"), 2, "tags have a directive of their own")
    s3.copy_object(Bucket=bucket, Key="new", CopySource=source, TaggingDirective="REPLACE", Tagging="v=1")
    same(s3.head_object(Bucket=bucket, Key="new").get("TagCount"), 1, "tags replaced")

    refused(s3.copy_object, 400, "InvalidRequest", Bucket=bucket, Key="source +%", CopySource=source)
    s3.copy_object(Bucket=bucket, Key="source +%", CopySource=source, MetadataDirective="REPLACE", ContentType="a/b")
    head = s3.head_object(Bucket=bucket, Key="source +%")
    same((head["ContentType"], head["ContentLength"]), ("a/b", 6), "copied onto itself")


@case
def copies_cross_buckets_and_survive_their_source(s3, bucket):
    s3.create_bucket(Bucket=f"{bucket}-2")
    body = content(bucket, 300_000)
    s3.put_object(Bucket=bucket, Key="source", Body=body)
    s3.copy_object(Bucket=f"{bucket}-2", Key="copy", CopySource=f"{bucket}/source")
    s3.delete_object(Bucket=bucket, Key="source")
    same(s3.get_object(Bucket=f"{bucket}-2", Key="copy")["Body"].read() == body, True, "the copy")
    gone = {"Bucket": bucket, "Key": "source"}
    refused(s3.copy_object, 404, "NoSuchKey", Bucket=bucket, Key="x", CopySource=gone)
    nowhere = {"Bucket": "no-such-bucket", "Key": "x"}
    refused(s3.copy_object, 404, "NoSuchBucket", Bucket=bucket, Key="x", CopySource=nowhere)


@case
def tags_are_counted_and_bad_ones_refused(s3, bucket):
    s3.put_object(Bucket=bucket, Key="key", Body=b"x", Tagging="a=1&b=&c%20d=e%2Bf")
    same(s3.get_object(Bucket=bucket, Key="key").get("TagCount"), 3, "TagCount")
    many = "&".join(f"t{number}=1" for number in range(11))
    refused(s3.put_object, 400, "BadRequest", Bucket=bucket, Key="key", Tagging=many)
    for tagging, code in (
        ("aws:created=1", "InvalidTag"),
        ("a=1&a=2", "InvalidArgument"),
        ("%zz=1", "InvalidArgument"),
        ("a=b!", "InvalidArgument"),
    ):
        refused(s3.put_object, 400, code, Bucket=bucket, Key="key", Body=b"x", Tagging=tagging)
    for key in ("aws:created", "a!"):
        tags = {"TagSet": [{"Key": key, "Value": "1"}]}
        refused(s3.put_object_tagging, 400, "InvalidTag", Bucket=bucket, Key="key", Tagging=tags)
    same(s3.get_object(Bucket=bucket, Key="key").get("TagCount"), 3, "TagCount after refusals")
    refused(s3.put_object, 400, "InvalidTag", Bucket=bucket, Key="key", Tagging=f"{'k' * 129}=1")


@case
def what_is_missing_is_said_with_s3s_codes(s3, bucket):
    for call in (s3.get_object, s3.delete_object, s3.put_object):
        refused(call, 404, "NoSuchBucket", Bucket="no-such-bucket", Key="x")
    refused(s3.list_objects_v2, 404, "NoSuchBucket", Bucket="no-such-bucket")
    error = refused(s3.get_object, 404, "NoSuchKey", Bucket=bucket, Key="no such key")
    same(error.get("Key"), "no such key", "Key in the error")
    refused(s3.head_object, 404, "404", Bucket=bucket, Key="x")
    refused(s3.head_object, 404, "404", Bucket="no-such-bucket", Key="x")


@case
def content_md5_is_checked(s3, bucket):
    refused(s3.put_object, 400, "BadDigest", Bucket=bucket, Key="x", Body=b"x", ContentMD5="1B2M2Y8AsgTpgAmY7PhCfg==")
    refused(s3.put_object, 400, "InvalidDigest", Bucket=bucket, Key="x", Body=b"x", ContentMD5="nonsense")
    refused(s3.head_object, 404, "404", Bucket=bucket, Key="x")
    s3.put_object(Bucket=bucket, Key="x", Body=b"", ContentMD5="1B2M2Y8AsgTpgAmY7PhCfg==")


@case
def what_is_not_supported_says_so_by_its_name(s3, bucket):
    s3.put_object(Bucket=bucket, Key="key", Body=b"x")
    website = {"IndexDocument": {"Suffix": "index.html"}}
    torrent = signed_http.send("GET", f"/{bucket}/key?torrent")
    same((torrent.status, torrent.code), (501, "NotImplemented"), repr(torrent))
    same(b"GetObjectTorrent" in torrent.body, True, repr(torrent))
    for name, call, parameters in (
        ("PutBucketWebsite", s3.put_bucket_website, {"WebsiteConfiguration": website}),
        ("GetBucketWebsite", s3.get_bucket_website, {}),
        ("GetBucketLogging", s3.get_bucket_logging, {}),
        ("PutBucketRequestPayment", s3.put_bucket_request_payment, {"RequestPaymentConfiguration": {"Payer": "Requester"}}),
        ("GetBucketReplication", s3.get_bucket_replication, {}),
        ("RestoreObject", s3.restore_object, {"Key": "key"}),
    ):
        error = refused(call, 501, "NotImplemented", Bucket=bucket, **parameters)
        same(name in error["Message"], True, f"{name} in {error['Message']!r}")
    same(s3.get_object(Bucket=bucket, Key="key")["Body"].read(), b"x", "the object")


@case
def requests_that_make_no_sense_are_client_errors(s3, bucket):
    for method, target, body, status, code in (
        ("POST", f"/{bucket}?delete", b"<Delete><Object><Key>x</Key>", 400, "MalformedXML"),
        ("POST", f"/{bucket}?delete", b"<Other/>", 400, "MalformedXML"),
        ("PUT", f"/{bucket}-x", b"<CreateBucketConfiguration><Loc", 400, "MalformedXML"),
        ("GET", f"/{bucket}?max-keys=ten", b"", 400, "InvalidArgument"),
        ("GET", f"/{bucket}?max-keys=-1", b"", 400, "InvalidArgument"),
        ("GET", f"/{bucket}?encoding-type=json", b"", 400, "InvalidArgument"),
        ("PUT", f"/{bucket}/x?partNumber=0&uploadId=y", b"", 400, "InvalidArgument"),
        ("PUT", f"/{bucket}/x?partNumber=1", b"", 400, "InvalidArgument"),
        ("PUT", f"/{bucket}/x?uploadId=y", b"", 405, "MethodNotAllowed"),
        ("PUT", f"/{bucket}/x?uploads", b"", 405, "MethodNotAllowed"),
        ("PUT", f"/{bucket}/x?append", b"", 501, "NotImplemented"),
        ("PUT", f"/{bucket}/x?acl&tagging", b"", 400, "InvalidArgument"),
        ("GET", f"/{bucket}/x?versionId=foo", b"", 400, "InvalidArgument"),
        ("DELETE", f"/{bucket}?delete", b"", 405, "MethodNotAllowed"),
        ("DELETE", f"/{bucket}?list-type=2", b"", 400, "InvalidArgument"),
        ("DELETE", f"/{bucket}?uploadId=y", b"", 400, "InvalidRequest"),
    ):
        headers = {}
        if "delete" in target:
            headers["Content-MD5"] = base64.b64encode(hashlib.md5(body).digest()).decode()
        answer = signed_http.send(method, target, body, headers)
        same((answer.status, answer.code), (status, code), f"{method} {target} {body!r}: {answer!r}")
    same(list_all(s3, bucket), {}, "what was refused stored nothing")


@case
def a_copy_onto_itself_is_taken_where_it_names_a_change(s3, bucket):
    s3.put_object(Bucket=bucket, Key="key", Body=b"body", Metadata={"a": "1"})
    copy = {"Bucket": bucket, "Key": "key", "CopySource": f"{bucket}/key"}
    refused(s3.copy_object, 400, "InvalidRequest", **copy)
    refused(s3.copy_object, 400, "InvalidRequest", **copy, MetadataDirective="COPY", TaggingDirective="COPY")
    # As `aws s3 cp --storage-class STANDARD` and `rclone settier` do.
    for change in (
        {"StorageClass": "STANDARD"},
        {"WebsiteRedirectLocation": "/other"},
        {"TaggingDirective": "REPLACE", "Tagging": "a=1"},
        {"ChecksumAlgorithm": "SHA256"},
    ):
        s3.copy_object(**copy, **change)
    head = s3.head_object(Bucket=bucket, Key="key")
    same((head["Metadata"], head["ContentLength"], head.get("TagCount")), ({"a": "1"}, 4, 1), "the object")
    same(head.get("WebsiteRedirectLocation"), None, "a redirect is not copied")


@case
def a_copy_source_is_read_with_every_slash_encoded(s3, bucket):
    s3.put_object(Bucket=bucket, Key="a/b", Body=b"body")
    for source in (f"{bucket}/a/b", f"/{bucket}/a/b", f"%2F{bucket}%2Fa%2Fb", f"%2f{bucket}/a%2Fb"):
        answer = signed_http.send("PUT", f"/{bucket}/copy", headers={"x-amz-copy-source": source})
        same(answer.status, 200, f"{source}: {answer!r}")


@case
def content_encoding_comes_back_as_it_was_sent(s3, bucket):
    for sent in ("deflate, gzip", "deflate,gzip", "gzip"):
        s3.put_object(Bucket=bucket, Key="key", Body=b"x", ContentEncoding=sent)
        same(s3.head_object(Bucket=bucket, Key="key")["ContentEncoding"], sent, "HEAD")


@case
def response_headers_fit_into_iso_8859_1_or_are_refused(s3, bucket):
    s3.put_object(Bucket=bucket, Key="key", Body=b"x")
    get = lambda name: s3.get_object(Bucket=bucket, Key="key", ResponseContentDisposition=f'inline; filename="{name}"')
    same(get("gr\u00fcn.txt")["ContentDisposition"], 'inline; filename="gr\u00fcn.txt"', "ISO-8859-1")
    value = f'inline; filename="1976\u20132016.md"'
    error = refused(s3.get_object, 400, "InvalidArgument", Bucket=bucket, Key="key", ResponseContentDisposition=value)
    same(error["ArgumentName"], "response-content-disposition", "the argument")
    answer = signed_http.send("GET", f"/{bucket}/key?response-content-type=a%2Fb", signed=False)
    same(answer.status in (400, 403), True, f"without a signature: {answer!r}")
