"""Real clients read what only production has, and sync a tree that is half here and half there.

    upstream_clients.py FILES

FILES is a JSON file: {"bucket": NAME, "large": KEY, "single": [KEY, ...], "tree": PREFIX,
"local": [KEY, ...], "md5": {KEY: MD5 of what only production has}}.
"""

import json
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

from boto3.s3.transfer import TransferConfig

from gcs_stage import client as gcs_client
from stage import ENDPOINT, client, content, md5, report, same, temporary_folder

FOLDER = temporary_folder()


def run(*command):
    done = subprocess.run(list(map(str, command)), capture_output=True, timeout=120)
    output = (done.stdout + done.stderr).decode(errors="replace")
    same(done.returncode, 0, f"exit code of {' '.join(map(str, command))}\n{output}")
    return done.stdout.decode(errors="replace")


def tree(folder):
    return {str(path.relative_to(folder)): md5(path.read_bytes()) for path in sorted(folder.rglob("*")) if path.is_file()}


def main():
    facts = json.loads(Path(sys.argv[1]).read_text())
    bucket, digests = facts["bucket"], facts["md5"]
    s3 = client()

    def check(path, key, who):
        same(md5(path.read_bytes()), digests[key], f"{key} by {who}")

    # boto3: several ranges of one file at a time.
    path = FOLDER / "boto3"
    config = TransferConfig(multipart_threshold=1 << 20, multipart_chunksize=1 << 20, max_concurrency=4)
    s3.download_file(bucket, facts["large"], str(path), Config=config)
    check(path, facts["large"], "boto3 download_file")

    for number, key in enumerate(facts["single"]):
        path = FOLDER / f"cp-{number}"
        run("aws", "--region", "us-east-1", "s3", "cp", f"s3://{bucket}/{key}", path)
        check(path, key, "aws s3 cp")
    path = FOLDER / "cp-large"
    run("aws", "--region", "us-east-1", "s3", "cp", f"s3://{bucket}/{facts['large']}", path)
    check(path, facts["large"], "aws s3 cp, in ranges")

    gcs = gcs_client("anonymous")
    for number, key in enumerate([*facts["single"], facts["large"]]):
        path = FOLDER / f"gcs-{number}"
        gcs.bucket(bucket).blob(key).download_to_filename(str(path))
        check(path, key, "google-cloud-storage")
        same(gcs.bucket(bucket).blob(key).download_as_bytes(start=1, end=3), path.read_bytes()[1:4], f"a range of {key}")

    redirects = 0
    for number, key in enumerate(facts["single"]):
        for place in ("", f"{bucket}/"):
            path = FOLDER / f"curl-{number}"
            url = f"{ENDPOINT}/{place}{quote(key)}"
            told = run("curl", "--silent", "--show-error", "--fail", "--noproxy", "*", "-L", "-o", path, "-w", "%{num_redirects}", url)
            check(path, key, "curl -L")
            redirects += int(told)

    local = {key: content(key, 100_000) for key in facts["local"]}
    for key, data in local.items():
        s3.put_object(Bucket=bucket, Key=key, Body=data)
    prefix = facts["tree"]
    wanted = {key.removeprefix(prefix): digest for key, digest in digests.items() if key.startswith(prefix)}
    wanted |= {key.removeprefix(prefix): md5(data) for key, data in local.items()}
    run("aws", "--region", "us-east-1", "s3", "sync", f"s3://{bucket}/{prefix}", FOLDER / "tree")
    same(tree(FOLDER / "tree"), wanted, "what aws s3 sync brought")
    again = run("aws", "--region", "us-east-1", "s3", "sync", f"s3://{bucket}/{prefix}", FOLDER / "tree")
    same(again.strip(), "", "a second sync")
    listed = [blob.name for blob in gcs.list_blobs(bucket, prefix=prefix)]
    same(sorted(key.removeprefix(prefix) for key in listed), sorted(wanted), "what google-cloud-storage lists")
    report(redirects=redirects, synced=len(wanted))


main()
