"""Presigned links as boto3 makes them, used by a client that knows nothing of S3.

By default boto3 presigns with SigV2; `signature_version="s3v4"` and most regions make it SigV4.
"""

import datetime
import http.client
import re
import time
import urllib.parse

import boto3
import botocore.auth
from botocore.config import Config

from stage import ACCESS_KEY_ID, ODD_NAMES, SECRET_ACCESS_KEY, client, content, report, same

BUCKET = "stage-firefox"
KIND = "text/plain; charset=utf-8"
CHECKED = 0


def send(method, url, body=None, headers=None):
    """One plain request; gives back status, code of the XML error if there is one, and body."""
    parts = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=60)
    connection.request(method, f"{parts.path}?{parts.query}", body=body, headers=headers or {})
    answer = connection.getresponse()
    data = answer.read()
    connection.close()
    code = re.search(rb"<Error>.*?<Code>(\w+)</Code>", data, re.DOTALL)
    return answer.status, code and code.group(1).decode(), data


def expect(got, status, code, what):
    global CHECKED
    same(got[:2], (status, code), f"{what}: {got[2]!r}")
    CHECKED += 1


def presigner(version, secret=SECRET_ACCESS_KEY, access_key=ACCESS_KEY_ID):
    """A boto3 client that presigns; None is what boto3 does by itself."""
    options = {"config": Config(signature_version=version)} if version else {}
    return boto3.session.Session().client("s3", aws_secret_access_key=secret, aws_access_key_id=access_key, **options)


def an_hour_ago(version, *arguments, **named):
    """A link as it would have been made an hour ago."""
    hour = datetime.timedelta(hours=1)
    now, clock = botocore.auth.get_current_datetime, time.time
    botocore.auth.get_current_datetime = lambda *a, **n: now(*a, **n) - hour
    time.time = lambda: clock() - hour.total_seconds()
    try:
        return presigner(version).generate_presigned_url(*arguments, **named)
    finally:
        botocore.auth.get_current_datetime, time.time = now, clock


def puts(version, name):
    s3, checker = presigner(version), client()
    query = "Signature=" if name == "SigV2" else "X-Amz-Signature="
    for number, odd in enumerate(ODD_NAMES):
        parameters = {"Bucket": BUCKET, "Key": f"{name}/{odd}", "ContentType": KIND}
        url = s3.generate_presigned_url("put_object", parameters)
        same(query in url, True, f"{query} in {url}")
        data = content(odd, 1_000 * number)
        expect(send("PUT", url, data, {"Content-Type": KIND}), 200, None, f"{name} PUT {odd}")
        stored = checker.get_object(Bucket=BUCKET, Key=f"{name}/{odd}")
        same((stored["Body"].read() == data, stored["ContentType"]), (True, KIND), f"{name} {odd}")


def refusals(version, name):
    key = f"{name}/refused"
    parameters = {"Bucket": BUCKET, "Key": key, "ContentType": KIND}
    headers = {"Content-Type": KIND}
    url = presigner(version).generate_presigned_url("put_object", parameters)

    wrong_type = send("PUT", url, b"x", {"Content-Type": "text/html"})
    expect(wrong_type, 403, "SignatureDoesNotMatch", f"{name}, wrong Content-Type")
    same(b"<StringToSign>" in wrong_type[2], True, f"StringToSign in {wrong_type[2]!r}")
    if name == "SigV4":
        same(b"<CanonicalRequest>" in wrong_type[2], True, f"CanonicalRequest in {wrong_type[2]!r}")

    expired = an_hour_ago(version, "put_object", parameters, ExpiresIn=60)
    answer = send("PUT", expired, b"x", headers)
    expect(answer, 403, "AccessDenied", f"{name}, expired")
    same(b"Request has expired" in answer[2], True, f"the message of {answer[2]!r}")
    still_good = an_hour_ago(version, "put_object", parameters | {"Key": f"{name}/an hour old"}, ExpiresIn=7200)
    expect(send("PUT", still_good, b"x", headers), 200, None, f"{name}, an hour old and good for two")

    wrong = presigner(version, secret="not+the/secret+of+this+access+key")
    answer = send("PUT", wrong.generate_presigned_url("put_object", parameters), b"x", headers)
    expect(answer, 403, "SignatureDoesNotMatch", f"{name}, wrong secret")
    same(SECRET_ACCESS_KEY.encode() in answer[2], False, "the secret in an error")
    unknown = presigner(version, access_key="AKIANOSUCHKEY")
    answer = send("PUT", unknown.generate_presigned_url("put_object", parameters), b"x", headers)
    expect(answer, 403, "InvalidAccessKeyId", f"{name}, unknown access key")

    expect(send("DELETE", url, headers=headers), 403, "SignatureDoesNotMatch", f"{name}, other method")
    moved = url.replace("/refused?", "/refused2?")
    expect(send("PUT", moved, b"x", headers), 403, "SignatureDoesNotMatch", f"{name}, other key")
    cut = re.sub(r"(Signature=)[^&]*", r"\1", url)
    status, code, data = send("PUT", cut, b"x", headers)
    same(status in (400, 403) and code is not None, True, f"{name}, empty signature: {status} {data!r}")

    listed = client().list_objects_v2(Bucket=BUCKET, Prefix=key)
    same(listed["KeyCount"], 0, f"objects stored by refused requests: {listed.get('Contents')}")


def reads(version, name):
    s3 = presigner(version)
    key = f"{name}/read me +%.txt"
    client().put_object(Bucket=BUCKET, Key=key, Body=b"hello", ContentType="text/plain")
    parameters = {"Bucket": BUCKET, "Key": key}
    expect(send("GET", s3.generate_presigned_url("get_object", parameters)), 200, None, f"{name} GET")
    expect(send("HEAD", s3.generate_presigned_url("head_object", parameters)), 200, None, f"{name} HEAD")
    overrides = {"ResponseContentDisposition": 'attachment; filename="a b+c.txt"', "ResponseContentType": "x/y"}
    url = s3.generate_presigned_url("get_object", parameters | overrides)
    expect(send("GET", url), 200, None, f"{name} GET with response-* overrides")
    altered = url.replace("attachment", "inline")
    expect(send("GET", altered), 403, "SignatureDoesNotMatch", f"{name}, altered override")
    url = s3.generate_presigned_url("list_objects_v2", {"Bucket": BUCKET, "Prefix": f"{name}/read"})
    status, _, data = send("GET", url)
    same((status, b"read%20me%20%2B%25.txt" in data), (200, True), f"{name} list: {data!r}")
    expect(send("DELETE", s3.generate_presigned_url("delete_object", parameters)), 204, None, f"{name} DELETE")
    expect(send("GET", s3.generate_presigned_url("get_object", parameters)), 404, "NoSuchKey", f"{name} GET")


def main():
    for version, name in ((None, "SigV2"), ("s3v4", "SigV4")):
        puts(version, name)
        refusals(version, name)
        reads(version, name)
    week = presigner("s3v4").generate_presigned_url("get_object", {"Bucket": BUCKET, "Key": "x"}, ExpiresIn=604_801)
    expect(send("GET", week), 400, "AuthorizationQueryParametersError", "SigV4, more than a week")
    report(checked=CHECKED)


main()
