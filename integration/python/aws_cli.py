"""The AWS command line: `aws s3` as people type it, `aws s3api` as scripts do.

The command is run as it was installed, one process for each call.
"""

import json
import subprocess
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

from stage import content, md5, report, same, temporary_folder

BUCKET = "aws-cli"
FOLDER = temporary_folder()
CALLS = []


def aws(*arguments, stdin=None, code=0):
    """Runs `aws`; gives back what it prints."""
    command = ["aws", "--region", "us-east-1", *map(str, arguments)]
    done = subprocess.run(command, input=stdin, capture_output=True, timeout=120)
    output = (done.stdout + done.stderr).decode(errors="replace")
    same(done.returncode, code, f"exit code of {' '.join(command)}\n{output}")
    CALLS.append(command)
    return done.stdout.decode(errors="replace") if code == 0 else output


def api(*arguments):
    """Runs `aws s3api`; gives back the JSON it prints."""
    printed = aws("s3api", *arguments)
    return json.loads(printed) if printed.strip() else {}


def tree(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def make_tree():
    files = {
        "a.txt": b"a",
        "empty": b"",
        "Firefox Setup 141.0.exe": content("setup", 100_000),
        "deep/er/b+c&d=e.asc": b"b",
        "deep/er/100%.asc": b"c",
        "deep/é 🦊.json": b"{}",
        "large.mar": content("large.mar", 20 * 1024 * 1024 + 1),
    }
    for name, data in files.items():
        path = FOLDER / "tree" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return files


def files_go_up_and_down(files):
    aws("s3", "mb", f"s3://{BUCKET}")
    printed = aws("s3", "sync", FOLDER / "tree", f"s3://{BUCKET}/pub")
    same(printed.count("upload: "), len(files), printed)
    same(aws("s3", "sync", FOLDER / "tree", f"s3://{BUCKET}/pub").strip(), "", "second sync")
    aws("s3", "sync", f"s3://{BUCKET}/pub", FOLDER / "down")
    same(tree(FOLDER / "down") == files, True, "what came down")
    listing = aws("s3", "ls", "--recursive", "--summarize", f"s3://{BUCKET}/")
    same(f"Total Objects: {len(files)}" in listing, True, listing)
    for name in files:
        same(f" pub/{name}\n" in listing, True, f"{name} in {listing}")
    listing = aws("s3", "ls", f"s3://{BUCKET}/pub/")
    same("PRE deep/" in listing and " a.txt" in listing, True, listing)
    same(f" {BUCKET}\n" in aws("s3", "ls"), True, "aws s3 ls")

    (FOLDER / "tree/a.txt").write_bytes(b"changed, and longer")
    (FOLDER / "tree/empty").unlink()
    printed = aws("s3", "sync", "--delete", FOLDER / "tree", f"s3://{BUCKET}/pub")
    same((printed.count("upload: "), printed.count("delete: ")), (1, 1), printed)


def single_files(files):
    source = FOLDER / "tree/Firefox Setup 141.0.exe"
    aws("s3", "cp", source, f"s3://{BUCKET}/one/", "--cache-control", "no-store", "--metadata", "a=1")
    head = api("head-object", "--bucket", BUCKET, "--key", f"one/{source.name}")
    same((head["CacheControl"], head["Metadata"], head["ContentLength"]), ("no-store", {"a": "1"}, 100_000), "HEAD")
    aws("s3", "cp", "-", f"s3://{BUCKET}/one/stdin", stdin=b"from standard input")
    same(aws("s3", "cp", f"s3://{BUCKET}/one/stdin", "-"), "from standard input", "to standard output")
    # More than 8 MiB: aws-cli copies it part by part.
    aws("s3", "cp", f"s3://{BUCKET}/pub/large.mar", f"s3://{BUCKET}/one/copy.mar")
    aws("s3", "cp", f"s3://{BUCKET}/one/copy.mar", FOLDER / "copy.mar")
    same((FOLDER / "copy.mar").read_bytes() == files["large.mar"], True, "the copy")
    aws("s3", "mv", f"s3://{BUCKET}/one/stdin", f"s3://{BUCKET}/one/moved +%")
    listing = aws("s3", "ls", f"s3://{BUCKET}/one/")
    same("moved +%" in listing and "stdin" not in listing, True, listing)
    aws("s3", "cp", f"s3://{BUCKET}/one/none", FOLDER / "none", code=1)
    aws("s3", "ls", f"s3://{BUCKET}/none", code=1)


def links():
    url = aws("s3", "presign", f"s3://{BUCKET}/one/moved +%", "--expires-in", "60").strip()
    with urllib.request.urlopen(url) as answer:
        same(answer.read(), b"from standard input", url)
    try:
        urllib.request.urlopen(url.replace("Signature=", "Signature=0"))
        raise AssertionError("an altered link was accepted")
    except urllib.error.HTTPError as error:
        same(error.code, 403, "an altered link")


def api_calls():
    api("create-bucket", "--bucket", f"{BUCKET}-api")
    at = ["--bucket", f"{BUCKET}-api", "--key", "a b+c"]
    body = FOLDER / "body"
    body.write_bytes(b"0123456789")
    put = api("put-object", *at, "--body", body, "--checksum-algorithm", "SHA256", "--content-type", "x/y")
    same(put["ETag"], f'"{md5(b"0123456789")}"', "ETag")
    got = api("get-object", *at, "--range", "bytes=2-4", FOLDER / "range")
    same((got["ContentRange"], (FOLDER / "range").read_bytes()), ("bytes 2-4/10", b"234"), "range")
    copied = api("copy-object", "--bucket", f"{BUCKET}-api", "--key", "copy", "--copy-source", f"{BUCKET}-api/a b+c")
    same(copied["CopyObjectResult"]["ETag"], put["ETag"], "copy")
    listed = api("list-objects-v2", "--bucket", f"{BUCKET}-api", "--query", "Contents[].Key")
    same(listed, ["a b+c", "copy"], "keys")
    listed = api("list-objects", "--bucket", f"{BUCKET}-api", "--prefix", "a", "--query", "Contents[].Key")
    same(listed, ["a b+c"], "keys by V1")
    doomed = json.dumps({"Objects": [{"Key": "a b+c"}, {"Key": "copy"}]})
    deleted = api("delete-objects", "--bucket", f"{BUCKET}-api", "--delete", doomed)
    same(len(deleted["Deleted"]), 2, "deleted")
    same(api("get-bucket-location", "--bucket", f"{BUCKET}-api")["LocationConstraint"], None, "location")
    upload = ["--upload-id", api("create-multipart-upload", *at)["UploadId"]]
    part = api("upload-part", *at, *upload, "--part-number", 1, "--body", body)
    parts = api("list-parts", *at, *upload, "--query", "Parts[].[PartNumber, ETag, Size]")
    same(parts, [[1, part["ETag"], 10]], "parts")
    uploads = api("list-multipart-uploads", "--bucket", f"{BUCKET}-api", "--query", "Uploads[].Key")
    same(uploads, ["a b+c"], "uploads")
    done = json.dumps({"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]})
    whole = api("complete-multipart-upload", *at, *upload, "--multipart-upload", done)
    same(whole["ETag"].endswith('-1"'), True, f"ETag of {whole}")
    api("delete-object", *at)
    aws("s3api", "head-object", *at, code=255)
    aws("s3api", "delete-bucket", "--bucket", f"{BUCKET}-api")
    aws("s3api", "head-bucket", "--bucket", f"{BUCKET}-api", code=255)


def removal():
    printed = aws("s3", "rb", f"s3://{BUCKET}", code=1)
    same("BucketNotEmpty" in printed, True, printed)
    aws("s3", "rm", f"s3://{BUCKET}/one/copy.mar")
    printed = aws("s3", "rm", "--recursive", f"s3://{BUCKET}/one")
    same(printed.count("delete: "), 2, printed)
    aws("s3", "rb", "--force", f"s3://{BUCKET}")
    same(BUCKET + "\n" in aws("s3", "ls"), False, "the bucket")


def main():
    files = make_tree()
    with ThreadPoolExecutor(2) as pool:
        other = pool.submit(api_calls)
        files_go_up_and_down(files)
        single_files(files)
        links()
        removal()
        other.result()
    report(calls=len(CALLS))


main()
