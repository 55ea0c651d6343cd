"""A request written by hand and signed by botocore: for what boto3 itself would never send."""

import http.client
import re
import urllib.parse

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from stage import ACCESS_KEY_ID, ENDPOINT, SECRET_ACCESS_KEY


class Answer:
    def __init__(self, response):
        self.status = response.status
        self.headers = dict(response.getheaders())
        self.body = response.read()
        found = re.search(rb"<Code>(\w+)</Code>", self.body)
        self.code = found and found.group(1).decode()

    def __repr__(self):
        return f"{self.status} {self.headers} {self.body[:2000]!r}"


def send(method, target, body=b"", headers=None, signed=True):
    """Sends one request; `target` is the path with its query, already escaped."""
    url = ENDPOINT + target
    request = AWSRequest(method, url, headers=headers or {}, data=body)
    if signed:
        S3SigV4Auth(Credentials(ACCESS_KEY_ID, SECRET_ACCESS_KEY), "s3", "us-east-1").add_auth(request)
    place = urllib.parse.urlsplit(ENDPOINT)
    connection = http.client.HTTPConnection(place.hostname, place.port, timeout=60)
    try:
        connection.request(method, target, body=body, headers=dict(request.headers.items()))
        return Answer(connection.getresponse())
    finally:
        connection.close()
