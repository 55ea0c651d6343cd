"""Today's push-to-releases by GCS, of a release whose candidates only production has.

    upstream_gcs_beetmover.py FILES

FILES is what upstream_beetmover.py takes.
"""

import base64
import json
import sys
from pathlib import Path

from gcs_push import Conflict, listing, push_to_releases
from gcs_stage import client, resource
from stage import client as s3_client, md5, report, same

BUCKET = "stage-product"


def main():
    facts = json.loads(Path(sys.argv[1]).read_text())
    releases, candidates = facts["releases"], facts["candidates"]
    gcs = client("anonymous")
    same(listing(gcs, BUCKET, releases), {}, "the release, before the push")
    copied = push_to_releases(gcs, BUCKET, candidates, releases)
    wanted = {releases + key.removeprefix(candidates): digest for key, digest in facts["md5"].items()}
    same(sorted(copied), sorted(wanted), "what was copied")
    in_base64 = {key: base64.b64encode(bytes.fromhex(digest)).decode() for key, digest in wanted.items()}
    same(listing(gcs, BUCKET, releases), in_base64, "the release")
    for key, digest in wanted.items():
        found = resource(BUCKET, key)
        same(found["cacheControl"], "public, max-age=14400", f"cacheControl of {key}")
        same(md5(s3_client().get_object(Bucket=BUCKET, Key=key)["Body"].read()), digest, f"bytes of {key}")
    same(push_to_releases(gcs, BUCKET, candidates, releases), [], "what a second push copied")
    s3_client().put_object(Bucket=BUCKET, Key=copied[0], Body=b"another build's")
    try:
        push_to_releases(gcs, BUCKET, candidates, releases)
        raise AssertionError("the conflict was not found")
    except Conflict as conflict:
        same(str(conflict), copied[0], "the conflict")
    report(copied=len(copied))


main()
