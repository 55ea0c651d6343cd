"""Multipart uploads through boto3: by hand, by its transfer manager, by copying parts."""

import hashlib

import signed_http
from cases import case, refused
from stage import content, md5, same, temporary_folder

MIB = 1024 * 1024
FIVE = content("five", 5 * MIB)


class Upload:
    """One upload by hand."""

    def __init__(self, s3, bucket, key="key", **options):
        self.s3 = s3
        self.at = {"Bucket": bucket, "Key": key}
        self.at["UploadId"] = s3.create_multipart_upload(**self.at, **options)["UploadId"]
        self.parts = []

    def part(self, number, body, **options):
        answer = self.s3.upload_part(**self.at, PartNumber=number, Body=body, **options)
        same(answer["ETag"], f'"{md5(body)}"', f"ETag of part {number}")
        self.parts.append({"PartNumber": number, "ETag": answer["ETag"]})
        return answer

    def complete(self, parts=None, **options):
        parts = self.parts if parts is None else parts
        return self.s3.complete_multipart_upload(**self.at, MultipartUpload={"Parts": parts}, **options)

    def complete_is_refused(self, code, parts=None, status=400, **options):
        parts = self.parts if parts is None else parts
        call = self.s3.complete_multipart_upload
        return refused(call, status, code, **self.at, MultipartUpload={"Parts": parts}, **options)


def etag_of(parts):
    """The ETag of an object of these parts."""
    digest = hashlib.md5(b"".join(hashlib.md5(part).digest() for part in parts)).hexdigest()
    return f'"{digest}-{len(parts)}"'


@case
def a_large_file_goes_up_in_parts_and_comes_down(s3, bucket):
    body = content("large", 21 * MIB + 12_345)
    folder = temporary_folder()
    (folder / "up").write_bytes(body)
    s3.upload_file(str(folder / "up"), bucket, "large file", ExtraArgs={"ContentType": "x/y", "Metadata": {"a": "1"}})
    parts = [body[at : at + 8 * MIB] for at in range(0, len(body), 8 * MIB)]
    head = s3.head_object(Bucket=bucket, Key="large file", ChecksumMode="ENABLED")
    same((head["ETag"], head["ContentLength"]), (etag_of(parts), len(body)), "HEAD")
    same((head["ContentType"], head["Metadata"]), ("x/y", {"a": "1"}), "metadata of the upload")
    same("ChecksumCRC32" in head, True, f"CRC32 in {head}")
    s3.download_file(bucket, "large file", str(folder / "down"))
    same((folder / "down").read_bytes() == body, True, "the file")
    for start, end in ((8 * MIB - 1, 8 * MIB + 1), (16 * MIB, 16 * MIB), (len(body) - 3, len(body) - 1), (5, 20 * MIB)):
        got = s3.get_object(Bucket=bucket, Key="large file", Range=f"bytes={start}-{end}")["Body"].read()
        same(got == body[start : end + 1], True, f"bytes {start}-{end}")


@case
def parts_make_the_object_in_order_of_their_numbers(s3, bucket):
    upload = Upload(s3, bucket, "a/key +%", ContentType="text/plain", CacheControl="no-store")
    upload.part(7, b"the last may be small")
    upload.part(2, b"an earlier try")
    upload.part(2, FIVE)
    upload.part(3, FIVE[::-1])
    listed = s3.list_parts(**upload.at)
    same([part["PartNumber"] for part in listed["Parts"]], [2, 3, 7], "ListParts")
    same([part["Size"] for part in listed["Parts"]], [5 * MIB, 5 * MIB, 21], "sizes")
    refused(s3.head_object, 404, "404", Bucket=bucket, Key="a/key +%")
    parts = [FIVE, FIVE[::-1], b"the last may be small"]
    wanted = [{"PartNumber": number, "ETag": f'"{md5(part)}"'} for number, part in zip((2, 3, 7), parts)]
    answer = upload.complete(wanted)
    same((answer["ETag"], answer["Bucket"], answer["Key"]), (etag_of(parts), bucket, "a/key +%"), "Complete")
    got = s3.get_object(Bucket=bucket, Key="a/key +%")
    same(got["Body"].read() == b"".join(parts), True, "the bytes")
    same((got["ContentType"], got["CacheControl"]), ("text/plain", "no-store"), "metadata")
    first = s3.get_object(Bucket=bucket, Key="a/key +%", PartNumber=2)
    same((first["PartsCount"], first["Body"].read() == FIVE[::-1]), (3, True), "GET of the second part")
    same(first["ContentRange"], f"bytes {5 * MIB}-{10 * MIB - 1}/{10 * MIB + 21}", "its range")
    same(s3.head_object(Bucket=bucket, Key="a/key +%", PartNumber=3)["ContentLength"], 21, "HEAD of the third")
    refused(s3.get_object, 416, "InvalidPartNumber", Bucket=bucket, Key="a/key +%", PartNumber=4)


@case
def a_subset_of_the_parts_will_do(s3, bucket):
    upload = Upload(s3, bucket)
    upload.part(1, b"left out")
    upload.part(2, b"taken")
    upload.complete(upload.parts[1:])
    same(s3.get_object(Bucket=bucket, Key="key")["Body"].read(), b"taken", "the object")


@case
def completions_that_do_not_fit_are_refused_and_change_nothing(s3, bucket):
    s3.put_object(Bucket=bucket, Key="key", Body=b"before")
    upload = Upload(s3, bucket)
    one, two, three = upload.part(1, FIVE), upload.part(2, b"too small"), upload.part(3, b"last")
    numbered = lambda *pairs: [{"PartNumber": number, "ETag": part["ETag"]} for number, part in pairs]
    upload.complete_is_refused("EntityTooSmall")
    upload.complete_is_refused("InvalidPart", numbered((1, one), (3, two)))
    upload.complete_is_refused("InvalidPart", numbered((1, one), (4, three)))
    upload.complete_is_refused("InvalidPartOrder", numbered((3, three), (1, one)))
    upload.complete_is_refused("InvalidPartOrder", numbered((1, one), (1, one)))
    upload.complete_is_refused("InvalidRequest", numbered((3, three)), MpuObjectSize=5)
    answer = signed_http.send(
        "POST", f"/{bucket}/key?uploadId={upload.at['UploadId']}", b"<CompleteMultipartUpload></CompleteMultipartUpload>"
    )
    same((answer.status, answer.code), (400, "MalformedXML"), f"no parts at all: {answer!r}")
    same(s3.get_object(Bucket=bucket, Key="key")["Body"].read(), b"before", "the object")
    upload.complete(numbered((3, three)), MpuObjectSize=4)
    same(s3.get_object(Bucket=bucket, Key="key")["Body"].read(), b"last", "the object")


@case
def an_upload_that_is_gone_is_no_such_upload(s3, bucket):
    upload = Upload(s3, bucket)
    part = {"PartNumber": 1, "Body": b"x"}
    upload.part(1, b"x")
    s3.abort_multipart_upload(**upload.at)
    refused(s3.upload_part, 404, "NoSuchUpload", **upload.at, **part)
    refused(s3.list_parts, 404, "NoSuchUpload", **upload.at)
    refused(s3.abort_multipart_upload, 404, "NoSuchUpload", **upload.at)
    upload.complete_is_refused("NoSuchUpload", status=404)
    other = Upload(s3, bucket)
    refused(s3.upload_part, 404, "NoSuchUpload", **other.at | {"Key": "another"}, **part)
    refused(s3.upload_part, 404, "NoSuchUpload", **other.at | {"UploadId": "nonsense"}, **part)
    refused(s3.upload_part, 400, "InvalidArgument", **other.at, **part | {"PartNumber": 10_001})
    refused(s3.create_multipart_upload, 404, "NoSuchBucket", Bucket="no-such-bucket", Key="x")


@case
def parts_are_copied_whole_and_by_range(s3, bucket):
    source = content("source", 6 * MIB)
    s3.put_object(Bucket=bucket, Key="source +%", Body=source)
    upload = Upload(s3, bucket)
    from_source = upload.at | {"CopySource": {"Bucket": bucket, "Key": "source +%"}}
    whole = s3.upload_part_copy(**from_source, PartNumber=1)
    same(whole["CopyPartResult"]["ETag"], f'"{md5(source)}"', "ETag of a whole copy")
    ranged = s3.upload_part_copy(**from_source, PartNumber=2, CopySourceRange=f"bytes=1-{5 * MIB}")
    upload.part(3, b"own bytes")
    upload.parts = [
        {"PartNumber": 1, "ETag": whole["CopyPartResult"]["ETag"]},
        {"PartNumber": 2, "ETag": ranged["CopyPartResult"]["ETag"]},
        upload.parts[0],
    ]
    parts = [source, source[1 : 5 * MIB + 1], b"own bytes"]
    same(upload.complete()["ETag"], etag_of(parts), "ETag")
    s3.delete_object(Bucket=bucket, Key="source +%")
    same(s3.get_object(Bucket=bucket, Key="key")["Body"].read() == b"".join(parts), True, "the bytes")

    s3.put_object(Bucket=bucket, Key="source +%", Body=source)
    other = Upload(s3, bucket, "other")
    from_source = other.at | {"CopySource": {"Bucket": bucket, "Key": "source +%"}, "PartNumber": 1}
    call = s3.upload_part_copy
    refused(call, 400, "InvalidArgument", **from_source, CopySourceRange="bytes=nonsense")
    refused(call, 400, "InvalidArgument", **from_source, CopySourceRange="bytes=0-99999999")
    refused(call, 412, "PreconditionFailed", **from_source, CopySourceIfMatch='"00000000000000000000000000000000"')
    refused(call, 404, "NoSuchKey", **from_source | {"CopySource": f"{bucket}/gone"})


@case
def an_object_of_parts_is_copied_whole(s3, bucket):
    upload = Upload(s3, bucket)
    upload.part(1, FIVE)
    upload.part(2, b"end")
    upload.complete()
    s3.copy_object(Bucket=bucket, Key="copy", CopySource=f"{bucket}/key")
    same(s3.get_object(Bucket=bucket, Key="copy")["Body"].read() == FIVE + b"end", True, "the copy")


@case
def uploads_and_parts_are_listed_page_by_page(s3, bucket):
    keys = ["a/1", "a/2", "a/2", "b", "c/1", "c/2", "sp ace+%"]
    uploads = [Upload(s3, bucket, key) for key in keys]
    wanted = sorted((upload.at["Key"], upload.at["UploadId"]) for upload in uploads)
    for limit in (1, 2, 1000):
        got = []
        for page in s3.get_paginator("list_multipart_uploads").paginate(Bucket=bucket, MaxUploads=limit):
            same(len(page.get("Uploads", [])) <= limit, True, "size of a page")
            got += [(upload["Key"], upload["UploadId"]) for upload in page.get("Uploads", [])]
        same(sorted(got), wanted, f"uploads, {limit} a page")
        same([key for key, _ in got], keys, "their order")
    page = s3.list_multipart_uploads(Bucket=bucket, Delimiter="/")
    same([entry["Prefix"] for entry in page["CommonPrefixes"]], ["a/", "c/"], "common prefixes")
    same([entry["Key"] for entry in page["Uploads"]], ["b", "sp ace+%"], "uploads beside them")
    page = s3.list_multipart_uploads(Bucket=bucket, Prefix="c/")
    same([entry["Key"] for entry in page["Uploads"]], ["c/1", "c/2"], "uploads below a prefix")

    for number in range(1, 6):
        uploads[0].part(number, b"%d" % number)
    pages = s3.get_paginator("list_parts").paginate(**uploads[0].at, MaxParts=2)
    got = [[part["PartNumber"] for part in page["Parts"]] for page in pages]
    same(got, [[1, 2], [3, 4], [5]], "pages of parts")
    refused(s3.delete_bucket, 409, "BucketNotEmpty", Bucket=bucket)
    for upload in uploads:
        s3.abort_multipart_upload(**upload.at)
    same(s3.list_multipart_uploads(Bucket=bucket).get("Uploads"), None, "uploads left")
    s3.delete_bucket(Bucket=bucket)
