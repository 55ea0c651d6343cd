"""Unmodified beetmoverscript 8.5.6 pushes a release whose candidates only production has.

    upstream_beetmover.py FILES

FILES is a JSON file: {"candidates": PREFIX, "releases": PREFIX, "version": V, "build": N,
"md5": {KEY below candidates: MD5}, "left": [KEY that push-to-releases leaves, ...]}.
"""

import json
import sys
from pathlib import Path

import beetmover_task
from beetmover_task import Task, fail, succeed
from stage import client, list_all, md5, report, same, temporary_folder

BUCKET = "stage-firefox"


def main():
    facts = json.loads(Path(sys.argv[1]).read_text())
    version = beetmover_task.installed_as_published()
    root = temporary_folder()
    s3 = client()

    def task(number):
        made = Task(root, number, "release", "push-to-releases")
        made.payload.update(product="firefox", version=facts["version"], build_number=facts["build"], partners=[])
        return made

    releases, candidates = facts["releases"], facts["candidates"]
    same(list_all(s3, BUCKET, releases), {}, "the release, before the push")
    succeed([task(1)], region=None)
    moved = {key: digest for key, digest in facts["md5"].items() if key not in facts["left"]}
    wanted = {releases + key.removeprefix(candidates): f'"{digest}"' for key, digest in moved.items()}
    listed = list_all(s3, BUCKET, releases)
    same({key: entry["ETag"] for key, entry in listed.items()}, wanted, "the release")
    for key, digest in moved.items():
        answer = s3.get_object(Bucket=BUCKET, Key=releases + key.removeprefix(candidates))
        same(md5(answer["Body"].read()), digest, f"bytes of {key} in the release")
        same(answer["CacheControl"], "public, max-age=14400", f"Cache-Control of {key} in the release")

    again = task(2)
    succeed([again], region=None)
    same(again.log().count("already exists with the same content"), len(moved), "keys that a second push skips")
    same(list_all(s3, BUCKET, releases), listed, "the release, after the second push")
    s3.put_object(Bucket=BUCKET, Key=next(iter(wanted)), Body=b"another build's")
    fail(task(3), None, "already exists with different content")
    report(version=version, copied=len(moved))


main()
