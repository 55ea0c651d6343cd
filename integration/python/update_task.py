"""What an update task does with aiohttp: every MAR at once, each in a session of its own.

    update_task.py --previous KEY...    upload current MARs, then download them and the previous ones
    update_task.py --put KEY            store the key, its own name as its content
    update_task.py --delete KEY         delete it
"""

import argparse
import asyncio
from urllib.parse import quote

import aiohttp

from stage import ENDPOINT, client, content, report, same

BUCKET = "stage-firefox"
CURRENT = "pub/firefox/candidates/83.0b3-candidates/build1/update/win64/{}/firefox-83.0b3.complete.mar"


async def download(url, wanted):
    """One file as funsize gets it; gives back the number of redirects on the way."""
    timeout = aiohttp.ClientTimeout(total=120)
    async with aiohttp.ClientSession(timeout=timeout, headers={"Accept-Encoding": "gzip, deflate"}) as session:
        async with session.get(url) as answer:
            same(answer.status, 200, url)
            same(answer.headers.get("Content-Encoding"), None, f"Content-Encoding of {url}")
            data = b""
            while chunk := await answer.content.read(4096):
                data += chunk
            same(data == wanted, True, f"{len(data)} bytes of {url}")
            return len(answer.history)


async def download_all(files):
    urls = [(f"{ENDPOINT}/{place}{quote(key)}", data) for key, data in files.items() for place in ("", f"{BUCKET}/")]
    return await asyncio.gather(*[download(url, data) for url, data in urls])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--previous", action="append", default=[])
    parser.add_argument("--put")
    parser.add_argument("--delete")
    arguments = parser.parse_args()
    s3 = client()
    if arguments.put:
        s3.put_object(Bucket=BUCKET, Key=arguments.put, Body=arguments.put.encode())
    if arguments.delete:
        s3.delete_object(Bucket=BUCKET, Key=arguments.delete)
    if not arguments.previous:
        return report(done=True)
    files = {}
    for locale in ("de", "en-US", "fr"):
        key = CURRENT.format(locale)
        files[key] = content(key, 1_000_000)
        s3.put_object(Bucket=BUCKET, Key=key, Body=files[key])
    files |= {key: key.encode() * 2_000 for key in arguments.previous}
    redirects = asyncio.run(download_all(files))
    report(local=redirects.count(0), redirected=redirects.count(1))


main()
