"""Follows links that boto3 presigned, without following what they answer with.

    upstream_links.py BUCKET KEY
"""

import sys
import urllib.error
import urllib.request

from stage import client, report


class Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *ignored):
        return None


def status(url):
    try:
        return urllib.request.build_opener(Stay).open(url, timeout=60).status
    except urllib.error.HTTPError as error:
        return error.code


def main():
    bucket, key = sys.argv[1:]
    versions = [client(config={"signature_version": version}) for version in ("s3", "s3v4")]
    links = [s3.generate_presigned_url("get_object", {"Bucket": bucket, "Key": key}) for s3 in versions]
    report(statuses=[status(link) for link in links])


main()
