"""Additional checksums through boto3, as headers and as trailers' full and composite values.

Values that boto3 cannot compute without a native library are computed by crc.py.
"""

import signed_http
from cases import case, refused
from crc import ALGORITHMS, checksum, composite
from stage import client, content, md5, same

BODY = content("checksums", 100_000)
# S3: SHA sums of parts cannot be combined, CRC-64/NVME has no composite form.
FORMS = [(algorithm, "COMPOSITE") for algorithm in ALGORITHMS if algorithm != "CRC64NVME"]
FORMS += [(algorithm, "FULL_OBJECT") for algorithm in ALGORITHMS if algorithm.startswith("CRC")]


def silent():
    """A client that adds no checksum and checks none of its own accord."""
    options = {"request_checksum_calculation": "when_required", "response_checksum_validation": "when_required"}
    return client(config=options)


def stored(s3, bucket, key="key"):
    """The checksums that HEAD shows, and their type."""
    head = silent().head_object(Bucket=bucket, Key=key, ChecksumMode="ENABLED")
    return {name: value for name, value in head.items() if name.startswith("Checksum")}


@case
def each_algorithm_is_checked_kept_and_shown_when_asked(s3, bucket):
    for algorithm in ALGORITHMS:
        name, value = f"Checksum{algorithm}", checksum(algorithm, BODY)
        put = s3.put_object(Bucket=bucket, Key="key", Body=BODY, **{name: value})
        same(put[name], value, f"answer to PUT with {name}")
        same(stored(s3, bucket), {name: value, "ChecksumType": "FULL_OBJECT"}, f"HEAD after {name}")
        same(name in silent().head_object(Bucket=bucket, Key="key"), False, f"{name} shown unasked")
        got = silent().get_object(Bucket=bucket, Key="key", ChecksumMode="ENABLED")
        same((got.get(name), got["Body"].read() == BODY), (value, True), f"GET after {name}")

        wrong = {name: checksum(algorithm, b"other")}
        refused(s3.put_object, 400, "BadDigest", Bucket=bucket, Key="key", Body=BODY, **wrong)
        for nonsense in ("nonsense", "AAAA", ""):
            if nonsense:
                refused(s3.put_object, 400, "InvalidRequest", Bucket=bucket, Key="key", Body=BODY, **{name: nonsense})
        same(stored(s3, bucket), {name: value, "ChecksumType": "FULL_OBJECT"}, f"HEAD after refusals of {name}")


@case
def an_object_without_a_checksum_gets_the_default_one(s3, bucket):
    silent().put_object(Bucket=bucket, Key="key", Body=BODY)
    wanted = {"ChecksumCRC64NVME": checksum("CRC64NVME", BODY), "ChecksumType": "FULL_OBJECT"}
    same(stored(s3, bucket), wanted, "HEAD")


@case
def a_part_without_a_checksum_is_answered_with_the_default_one(s3, bucket):
    at = {"Bucket": bucket, "Key": "key"}
    at["UploadId"] = silent().create_multipart_upload(**at)["UploadId"]
    part = silent().upload_part(**at, PartNumber=1, Body=BODY)
    same(part.get("ChecksumCRC64NVME"), checksum("CRC64NVME", BODY), "answer to UploadPart")
    listed = s3.list_parts(**at)["Parts"][0]
    same([name for name in listed if name.startswith("Checksum")], [], "checksums of ListParts")
    silent().complete_multipart_upload(**at, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]})
    wanted = {"ChecksumCRC64NVME": checksum("CRC64NVME", BODY), "ChecksumType": "FULL_OBJECT"}
    same(stored(s3, bucket), wanted, "HEAD of the object")


@case
def two_checksums_at_once_are_refused(s3, bucket):
    headers = {
        "x-amz-checksum-crc32": checksum("CRC32", b"x"),
        "x-amz-checksum-sha1": checksum("SHA1", b"x"),
    }
    answer = signed_http.send("PUT", f"/{bucket}/key", b"x", headers)
    same((answer.status, answer.code), (400, "InvalidRequest"), repr(answer))


@case
def a_sum_that_is_announced_and_not_sent_is_refused(s3, bucket):
    answer = signed_http.send("PUT", f"/{bucket}/key", b"x", {"x-amz-sdk-checksum-algorithm": "SHA256"})
    same((answer.status, answer.code), (400, "InvalidRequest"), repr(answer))


@case
def uploads_have_checksums_of_every_form(s3, bucket):
    parts = [content("part one", 5 * 1024 * 1024), content("part two", 70_000)]
    for algorithm, form in FORMS:
        key, name = f"{algorithm}-{form}", f"Checksum{algorithm}"
        at = {"Bucket": bucket, "Key": key}
        create = s3.create_multipart_upload(**at, ChecksumAlgorithm=algorithm, ChecksumType=form)
        at["UploadId"] = create["UploadId"]
        done = []
        for number, part in enumerate(parts, 1):
            value = cached(algorithm, part)
            answer = s3.upload_part(**at, PartNumber=number, Body=part, **{name: value})
            same(answer[name], value, f"{key} part {number}")
            done.append({"PartNumber": number, "ETag": answer["ETag"], name: value})
        refused(s3.upload_part, 400, "BadDigest", **at, PartNumber=3, Body=b"x", **{name: cached(algorithm, b"y")})
        full = cached(algorithm, b"".join(parts))
        whole = full if form == "FULL_OBJECT" else composite_cached(algorithm, parts)
        answer = s3.complete_multipart_upload(**at, MultipartUpload={"Parts": done})
        same((answer[name], answer["ChecksumType"]), (whole, form), f"{key} completed")
        same(stored(s3, bucket, key), {name: whole, "ChecksumType": form}, f"HEAD {key}")


@case
def a_completion_with_another_checksum_is_refused(s3, bucket):
    at = {"Bucket": bucket, "Key": "key"}
    create = s3.create_multipart_upload(**at, ChecksumAlgorithm="CRC32", ChecksumType="FULL_OBJECT")
    at["UploadId"] = create["UploadId"]
    part = s3.upload_part(**at, PartNumber=1, Body=b"part", ChecksumAlgorithm="CRC32")
    right = {"PartNumber": 1, "ETag": part["ETag"], "ChecksumCRC32": part["ChecksumCRC32"]}
    wrong = right | {"ChecksumCRC32": checksum("CRC32", b"other")}
    call = s3.complete_multipart_upload
    refused(call, 400, "InvalidPart", **at, MultipartUpload={"Parts": [wrong]})
    parts = {"Parts": [right]}
    refused(call, 400, "BadDigest", **at, MultipartUpload=parts, ChecksumCRC32=wrong["ChecksumCRC32"])
    call(**at, MultipartUpload=parts, ChecksumCRC32=right["ChecksumCRC32"])


@case
def copies_keep_the_checksum_or_get_the_one_asked_for(s3, bucket):
    s3.put_object(Bucket=bucket, Key="key", Body=BODY, ChecksumSHA256=checksum("SHA256", BODY))
    s3.copy_object(Bucket=bucket, Key="copy", CopySource=f"{bucket}/key")
    wanted = {"ChecksumSHA256": checksum("SHA256", BODY), "ChecksumType": "FULL_OBJECT"}
    same(stored(s3, bucket, "copy"), wanted, "the copy")
    for algorithm in ALGORITHMS:
        name, value = f"Checksum{algorithm}", checksum(algorithm, BODY)
        answer = s3.copy_object(Bucket=bucket, Key="copy", CopySource=f"{bucket}/key", ChecksumAlgorithm=algorithm)
        same(answer["CopyObjectResult"][name], value, f"answer to a copy with {algorithm}")
        same(stored(s3, bucket, "copy"), {name: value, "ChecksumType": "FULL_OBJECT"}, f"copy with {algorithm}")
        same(answer["CopyObjectResult"]["ETag"], f'"{md5(BODY)}"', "its ETag")


SUMS = {}


def cached(algorithm, data):
    """`checksum`, whose CRCs in Python are slow, once for each input."""
    at = (algorithm, data[:64], len(data))
    if at not in SUMS:
        SUMS[at] = checksum(algorithm, data)
    return SUMS[at]


def composite_cached(algorithm, parts):
    at = (algorithm, "composite")
    if at not in SUMS:
        SUMS[at] = composite(algorithm, parts)
    return SUMS[at]
