"""The two calls that today's beetmover has and 8.5.6 lacks, made by the same library calls.

direct-push-to-bucket opens each file and PUTs it to a link that boto3 presigned; upload-data
PUTs bytes that it holds, with the Content-Type that the task names.
"""

import asyncio
import io

import aiohttp
import boto3

from beetmover_task import content_type
from stage import ODD_NAMES, client, content, md5, report, same, temporary_folder

CACHE_CONTROL = "public, max-age=14400"
BUCKET = "stage-firefox"


async def put(session, key, body, kind, region):
    """What beetmover's `put` does, with `upload_to_s3`'s link."""
    s3 = boto3.client("s3", region_name=region)
    parameters = {"Bucket": BUCKET, "Key": key, "ContentType": kind}
    url = s3.generate_presigned_url("put_object", parameters, ExpiresIn=1800, HttpMethod="PUT")
    headers = {"Content-Type": kind, "Cache-Control": CACHE_CONTROL}
    async with session.put(url, data=body, headers=headers, compress=False) as answer:
        text = await answer.text()
        same(answer.status, 200, f"status of PUT {key}: {text}")


async def upload(files, data, region):
    connector = aiohttp.TCPConnector(limit=5)
    async with aiohttp.ClientSession(connector=connector) as session:
        handles = [(key, path.open("rb"), content_type(path)) for key, path in files.items()]
        puts = [put(session, key, handle, kind, region) for key, handle, kind in handles]
        puts += [put(session, key, io.BytesIO(body), kind, region) for key, (body, kind) in data.items()]
        await asyncio.gather(*puts)
        for _, handle, _ in handles:
            handle.close()


def main():
    folder = temporary_folder()
    checker = client()
    checked = 0
    for region in (None, "eu-central-1"):
        prefix = f"pub/fenix/releases/141.0-{region}/"
        files, wanted = {}, {}
        for number, name in enumerate([*ODD_NAMES, "fenix-141.0.apk", "SHA512SUMS"]):
            path = folder / f"{number}{'.apk' if name.endswith('.apk') else '.asc'}"
            path.write_bytes(content(name, 200_000))
            files[f"{prefix}android/{name}"] = path
            wanted[f"{prefix}android/{name}"] = (path.read_bytes(), content_type(path))
        data = {
            f"{prefix}data/hello.txt": (b"hello", "text/plain; charset=utf-8"),
            f"{prefix}data/empty": (b"", "text/plain; charset=utf-8"),
            f"{prefix}data/answer.json": (b'{"answer": 42}', "application/json"),
        }
        asyncio.run(upload(files, data, region))
        for key, (body, kind) in (wanted | data).items():
            answer = checker.get_object(Bucket=BUCKET, Key=key)
            same(answer["Body"].read() == body, True, f"{key} has its bytes")
            same((answer["ContentType"], answer["CacheControl"]), (kind, CACHE_CONTROL), key)
            same(answer["ETag"], f'"{md5(body)}"', f"ETag of {key}")
            checked += 1
    report(checked=checked)


main()
