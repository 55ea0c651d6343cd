"""The If-* family through boto3: on reads, writes, copies, completions and deletes."""

import datetime
from concurrent.futures import ThreadPoolExecutor

from botocore.exceptions import ClientError

import signed_http
from cases import case, refused
from stage import md5, same

HOUR = datetime.timedelta(hours=1)
OTHER = f'"{md5(b"other")}"'


@case
def reads_follow_the_table(s3, bucket):
    etag = s3.put_object(Bucket=bucket, Key="key", Body=b"body")["ETag"]
    modified = s3.head_object(Bucket=bucket, Key="key")["LastModified"]
    before, after = modified - HOUR, modified + HOUR
    for conditions, status in (
        ({"IfMatch": etag}, 200),
        ({"IfMatch": "*"}, 200),
        ({"IfMatch": f"{OTHER}, {etag}"}, 200),
        ({"IfMatch": OTHER}, 412),
        ({"IfNoneMatch": OTHER}, 200),
        ({"IfNoneMatch": etag}, 304),
        ({"IfNoneMatch": etag.strip('"')}, 304),
        ({"IfNoneMatch": "*"}, 304),
        ({"IfModifiedSince": before}, 200),
        ({"IfModifiedSince": modified}, 304),
        ({"IfUnmodifiedSince": modified}, 200),
        ({"IfUnmodifiedSince": before}, 412),
        # S3: a match of the ETag outweighs the date, in both directions.
        ({"IfMatch": etag, "IfUnmodifiedSince": before}, 200),
        ({"IfNoneMatch": etag, "IfModifiedSince": before}, 304),
        ({"IfNoneMatch": OTHER, "IfModifiedSince": after}, 200),
    ):
        for call in (s3.get_object, s3.head_object):
            try:
                got = call(Bucket=bucket, Key="key", **conditions)["ResponseMetadata"]
            except ClientError as error:
                got = error.response["ResponseMetadata"]
            same(got["HTTPStatusCode"], status, f"{call.__name__} {conditions}")
            if status == 304:
                same(got["HTTPHeaders"].get("etag"), etag, f"ETag of {call.__name__} {conditions}")
    refused(s3.get_object, 412, "PreconditionFailed", Bucket=bucket, Key="key", IfMatch=OTHER)


@case
def writes_are_made_only_where_the_condition_holds(s3, bucket):
    put = lambda body, **conditions: s3.put_object(Bucket=bucket, Key="key", Body=body, **conditions)
    refuse = lambda *expected, **conditions: refused(
        s3.put_object, *expected, Bucket=bucket, Key="key", Body=b"never", **conditions
    )
    refuse(404, "NoSuchKey", IfMatch=OTHER)
    first = put(b"first", IfNoneMatch="*")["ETag"]
    refuse(412, "PreconditionFailed", IfNoneMatch="*")
    refuse(412, "PreconditionFailed", IfMatch=OTHER)
    second = put(b"second", IfMatch=first)["ETag"]
    refuse(412, "PreconditionFailed", IfMatch=first)
    same(s3.get_object(Bucket=bucket, Key="key")["ETag"], second, "ETag")
    s3.delete_object(Bucket=bucket, Key="key")
    put(b"third", IfNoneMatch="*")


@case
def of_many_writers_that_want_to_be_first_one_is(s3, bucket):
    def write(number):
        try:
            s3.put_object(Bucket=bucket, Key="key", Body=b"%d" % number, IfNoneMatch="*")
            return number
        except ClientError as error:
            same(error.response["Error"]["Code"] in ("PreconditionFailed", "ConditionalRequestConflict"), True, str(error))
            return None

    with ThreadPoolExecutor(16) as pool:
        winners = [number for number in pool.map(write, range(64)) if number is not None]
    same(len(winners), 1, f"winners {winners}")
    same(s3.get_object(Bucket=bucket, Key="key")["Body"].read(), b"%d" % winners[0], "what is stored")


@case
def copies_ask_of_their_source_and_of_their_destination(s3, bucket):
    etag = s3.put_object(Bucket=bucket, Key="source", Body=b"source")["ETag"]
    modified = s3.head_object(Bucket=bucket, Key="source")["LastModified"]
    copy = {"Bucket": bucket, "Key": "copy", "CopySource": f"{bucket}/source"}
    for conditions in (
        {"CopySourceIfMatch": OTHER},
        {"CopySourceIfNoneMatch": etag},
        {"CopySourceIfModifiedSince": modified},
        {"CopySourceIfUnmodifiedSince": modified - HOUR},
    ):
        refused(s3.copy_object, 412, "PreconditionFailed", **copy, **conditions)
    refused(s3.head_object, 404, "404", Bucket=bucket, Key="copy")
    s3.copy_object(**copy, CopySourceIfMatch=etag, CopySourceIfUnmodifiedSince=modified - HOUR)
    s3.copy_object(**copy, CopySourceIfNoneMatch=OTHER)
    refused(s3.copy_object, 412, "PreconditionFailed", **copy, IfNoneMatch="*")
    s3.copy_object(**copy | {"Key": "new"}, IfNoneMatch="*")
    s3.copy_object(**copy, IfMatch=etag)
    refused(s3.copy_object, 412, "PreconditionFailed", **copy, IfMatch=OTHER)


@case
def a_delete_with_another_etag_deletes_nothing(s3, bucket):
    etag = s3.put_object(Bucket=bucket, Key="key", Body=b"body")["ETag"]
    refused(s3.delete_object, 412, "PreconditionFailed", Bucket=bucket, Key="key", IfMatch=OTHER)
    same(s3.get_object(Bucket=bucket, Key="key")["Body"].read(), b"body", "the object")
    s3.delete_object(Bucket=bucket, Key="key", IfMatch=etag)
    refused(s3.head_object, 404, "404", Bucket=bucket, Key="key")


@case
def an_upload_completes_only_where_the_condition_holds(s3, bucket):
    def complete(**conditions):
        upload = s3.create_multipart_upload(Bucket=bucket, Key="key")["UploadId"]
        part = s3.upload_part(Bucket=bucket, Key="key", UploadId=upload, PartNumber=1, Body=b"part")
        parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
        return {"Bucket": bucket, "Key": "key", "UploadId": upload, "MultipartUpload": parts} | conditions

    s3.complete_multipart_upload(**complete(IfNoneMatch="*"))
    refused(s3.complete_multipart_upload, 412, "PreconditionFailed", **complete(IfNoneMatch="*"))
    refused(s3.complete_multipart_upload, 412, "PreconditionFailed", **complete(IfMatch=OTHER))
    etag = s3.head_object(Bucket=bucket, Key="key")["ETag"]
    s3.complete_multipart_upload(**complete(IfMatch=etag))


@case
def dates_are_read_in_every_form_and_the_future_is_ignored(s3, bucket):
    s3.put_object(Bucket=bucket, Key="source", Body=b"body")
    old = ("Wed, 01 Jan 2020 00:00:00 GMT", "Wednesday, 01-Jan-20 00:00:00 GMT", "Wed Jan  1 00:00:00 2020")
    old += ("2020-01-01T00:00:00Z", "2020-01-01T00:00:00.000Z", "Wed, 01 Jan 2020 00:00:00 -0000")
    nothing = ("2100-01-01T00:00:00Z", "Fri, 01 Jan 2100 00:00:00 GMT", "yesterday", "1577836800")
    for date, unmodified in [(date, 412) for date in old] + [(date, 200) for date in nothing]:
        read = lambda name: signed_http.send("GET", f"/{bucket}/source", headers={name: date})
        same(read("If-Unmodified-Since").status, unmodified, f"If-Unmodified-Since: {date}")
        same(read("If-Modified-Since").status, 200, f"If-Modified-Since: {date}")
        copy = {"x-amz-copy-source": f"/{bucket}/source", "x-amz-copy-source-if-unmodified-since": date}
        answer = signed_http.send("PUT", f"/{bucket}/copy", headers=copy)
        same(answer.status, unmodified, f"a copy if unmodified since {date}: {answer!r}")


@case
def a_tag_that_a_proxy_has_weakened_still_revalidates(s3, bucket):
    etag = s3.put_object(Bucket=bucket, Key="key", Body=b"body")["ETag"]
    for header, value, status in (
        ("If-None-Match", f"W/{etag}", 304),
        ("If-None-Match", f"{OTHER}, W/{etag}", 304),
        ("If-None-Match", f"W/{OTHER}", 200),
        ("If-Match", f"W/{etag}", 412),
    ):
        answer = signed_http.send("GET", f"/{bucket}/key", headers={header: value})
        same(answer.status, status, f"{header}: {value}")
