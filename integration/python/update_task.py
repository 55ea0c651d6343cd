"""An update task: MARs that are here, and those of earlier releases.

    update_task.py --previous KEY...    upload current MARs, then download them and the previous ones
    update_task.py --put KEY            store the key, its own name as its content
    update_task.py --delete KEY         delete it
"""

import argparse
from urllib.parse import quote

from downloads import download_all
from stage import ENDPOINT, client, content, report, same

BUCKET = "stage-firefox"
CURRENT = "pub/firefox/candidates/83.0b3-candidates/build1/update/win64/{}/firefox-83.0b3.complete.mar"


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
    wanted = {f"{ENDPOINT}/{place}{quote(key)}": data for key, data in files.items() for place in ("", f"{BUCKET}/")}
    redirects = []
    for (url, bytes_wanted), (data, times) in zip(wanted.items(), download_all(wanted)):
        same(data == bytes_wanted, True, f"{len(data)} bytes of {url}")
        redirects.append(times)
    report(local=redirects.count(0), redirected=redirects.count(1))


main()
