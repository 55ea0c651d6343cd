"""Buckets through boto3: made, found, listed page by page, and removed."""


import signed_http
from cases import case, refused
from stage import client, same


@case
def a_bucket_lives_where_it_was_put(s3, bucket):
    same(s3.get_bucket_location(Bucket=bucket)["LocationConstraint"], None, "location of us-east-1")
    name = f"{bucket}-eu"
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    same(s3.get_bucket_location(Bucket=name)["LocationConstraint"], "eu-central-1", "location")
    same(s3.head_bucket(Bucket=name)["BucketRegion"], "eu-central-1", "region of HEAD")
    # S3: outside us-east-1, where it is an error, making one's own bucket again says so.
    refused(
        s3.create_bucket,
        409,
        "BucketAlreadyOwnedByYou",
        Bucket=name,
        CreateBucketConfiguration={"LocationConstraint": "eu-central-1"},
    )
    s3.delete_bucket(Bucket=name)
    refused(s3.head_bucket, 404, "404", Bucket=name)
    refused(s3.get_bucket_location, 404, "NoSuchBucket", Bucket=name)
    refused(s3.delete_bucket, 404, "NoSuchBucket", Bucket=name)


@case
def a_bucket_with_an_object_is_not_deleted(s3, bucket):
    s3.put_object(Bucket=bucket, Key="key", Body=b"x")
    refused(s3.delete_bucket, 409, "BucketNotEmpty", Bucket=bucket)
    s3.delete_object(Bucket=bucket, Key="key")
    s3.delete_bucket(Bucket=bucket)
    s3.create_bucket(Bucket=bucket)
    same(s3.list_objects_v2(Bucket=bucket)["KeyCount"], 0, "objects of a bucket made again")


@case
def buckets_are_listed_by_name_prefix_and_page(s3, bucket):
    names = [f"{bucket}-{number}" for number in range(5)]
    for name in reversed(names):
        s3.create_bucket(Bucket=name)
    everything = s3.list_buckets()
    listed = [entry["Name"] for entry in everything["Buckets"]]
    same(listed, sorted(listed), "order")
    same(set(names) <= set(listed), True, f"names in {listed}")
    same(bool(everything["Owner"]["ID"]), True, "owner")
    pages = s3.get_paginator("list_buckets").paginate(Prefix=f"{bucket}-", MaxBuckets=2)
    got = [[entry["Name"] for entry in page["Buckets"]] for page in pages]
    same(got, [names[:2], names[2:4], names[4:]], "pages")


@case
def names_that_s3_refuses_are_refused(s3, bucket):
    for name in ("ab", "Upper", "under_score", "-dash", "dash-", "two..dots", "192.168.1.1", "a" * 64, ".dot"):
        answer = signed_http.send("PUT", f"/{name}")
        same((answer.status, answer.code), (400, "InvalidBucketName"), f"{name}: {answer!r}")
    for name in ("sthree-a", "amzn-s3-demo-a", "a1-s3alias", "a1--ol-s3", "abc.mrap", "a1--x-s3", "a1--table-s3"):
        # By hand: boto3 itself takes some of these names for S3 Express.
        for method, refusal in (("PUT", (400, "InvalidBucketName")), ("GET", (404, "NoSuchBucket"))):
            answer = signed_http.send(method, f"/{name}")
            same((answer.status, answer.code), refusal, f"{method} {name}: {answer!r}")


@case
def a_bucket_cannot_be_put_into_us_east_1_by_name_or_nowhere(s3, bucket):
    for region in ("us-east-1", "", "nowhere"):
        body = f"<CreateBucketConfiguration><LocationConstraint>{region}</LocationConstraint></CreateBucketConfiguration>"
        answer = signed_http.send("PUT", f"/{bucket}-2", body.encode())
        same((answer.status, answer.code), (400, "InvalidLocationConstraint"), f"{region!r}: {answer!r}")
    refused(s3.head_bucket, 404, "404", Bucket=f"{bucket}-2")


@case
def nobody_has_a_list_of_buckets(s3, bucket):
    answer = signed_http.send("GET", "/", signed=False)
    same((answer.status, answer.code), (403, "AccessDenied"), repr(answer))


@case
def a_refused_method_is_told_which_others_there_are(s3, bucket):
    s3.put_object(Bucket=bucket, Key="key", Body=b"x")
    for method, target in (("PATCH", f"/{bucket}/key"), ("PATCH", f"/{bucket}"), ("POST", "/"), ("PUT", f"/{bucket}?location")):
        answer = signed_http.send(method, target)
        allowed = answer.headers.get("Allow", "").split(", ")
        same((answer.status, method in allowed, "GET" in allowed), (405, False, True), f"{method} {target}: {answer!r}")


@case
def virtual_host_style_reaches_the_same_objects(s3, bucket):
    s3.put_object(Bucket=bucket, Key="a/key +%", Body=b"body")
    # Resolvers need not know it: the request goes to the same address with another Host.
    answer = signed_http.send("GET", "/a/key%20%2B%25", headers={"Host": f"{bucket.upper()}.LocalHost"}, signed=True)
    same((answer.status, answer.body), (200, b"body"), f"a host in another case: {answer!r}")
    host = f"{bucket}.localhost"
    answer = signed_http.send("GET", "/a/key%20%2B%25", headers={"Host": host}, signed=True)
    same((answer.status, answer.body), (200, b"body"), repr(answer))
    answer = signed_http.send("GET", "/?list-type=2", headers={"Host": host}, signed=True)
    same(b"<Key>a/key +%</Key>" in answer.body, True, repr(answer))


@case
def every_answer_has_a_request_id_and_the_time(s3, bucket):
    for answer in (
        signed_http.send("GET", f"/{bucket}"),
        signed_http.send("GET", f"/{bucket}/none"),
        signed_http.send("GET", f"/{bucket}", signed=False),
    ):
        for name in ("x-amz-request-id", "date", "server"):
            found = {header.lower(): value for header, value in answer.headers.items()}
            same(bool(found.get(name)), True, f"{name} in {answer!r}")
    same((answer.status, answer.code), (403, "AccessDenied"), "an anonymous request")


@case
def signatures_are_checked(s3, bucket):
    for version in ("s3v4", "s3"):
        options = {"signature_version": version}
        good = client(config=options)
        good.put_object(Bucket=bucket, Key="a +%&=/é", Body=b"x")
        same(good.list_objects_v2(Bucket=bucket, Prefix="a +")["KeyCount"], 1, version)
        wrong = client(config=options, aws_secret_access_key="not+the/secret+of+this+access+key")
        refused(wrong.list_objects_v2, 403, "SignatureDoesNotMatch", Bucket=bucket)
        unknown = client(config=options, aws_access_key_id="AKIANOSUCHKEY")
        refused(unknown.list_objects_v2, 403, "InvalidAccessKeyId", Bucket=bucket)
