"""A worker at a stage that is checked out: unmodified beetmoverscript 8.5.6, today's calls of Google
Cloud Storage, update tasks, and looks at everything that is there.

    rehearsal.py

Where the stage is, and with which keys, it knows from the variables of `understudy library env` and
from nothing else. Each line of its input is a command, {"do": NAME, ...}; each is answered with one
line. Objects are told as {"BUCKET/KEY": [SIZE, MD5]}.
"""

import base64
import itertools
import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

import requests
from botocore.exceptions import ClientError

import beetmover_task
import gcs_push
from beetmover_task import AS_GIVEN, Task, content_type, fail, succeed
from downloads import download_all
from stage import ENDPOINT, client, content, list_all, md5, same, temporary_folder

# As in docker.d/worker.yml of a worker for staging.
FIREFOX = "net-mozaws-stage-delivery-firefox"
PARTNER = "mozilla-releng-dep-partner"
MAVEN = "maven-default-s3-upload-bucket-13gy5ufwa3qv"
NIGHTLY_MAVEN = "maven-nightly-stage-s3-upload-bucket"
PRODUCT_DELIVERY = "moz-fx-productdelivery-no-7d6a-productdelivery"
PLATFORMS = ("linux-x86_64", "win64")
LOCALES = ("de", "en-US")


def bucket_config():
    """The buckets of docker.d/worker.yml, with its variables filled in."""

    def entry(name, buckets):
        credentials = {"id": os.environ[f"{name}_ID"], "key": os.environ[f"{name}_KEY"]}
        return {"credentials": credentials, "buckets": buckets, "url_prefix": "https://ftp.stage.mozaws.net"}

    return {
        "dep": entry("DEP", {"firefox": FIREFOX}),
        # beetmoverscript 8.5.6 does not know the name dep-partner.
        "partner": entry("DEP_PARTNER", {"firefox": PARTNER}),
        "maven-staging": entry("MAVEN", {"geckoview": MAVEN}),
        "maven-nightly-staging": entry("MAVEN_NIGHTLY", {"nightly_components": NIGHTLY_MAVEN}),
    }


def candidates(version):
    return f"pub/firefox/candidates/{version}-candidates/build1/"


def releases(version):
    return f"pub/firefox/releases/{version}/"


def files(version, platform, locale):
    """Artifact name, key below the candidates, size, and whether push-to-releases takes it along."""
    folder, mar = f"{platform}/{locale}", f"update/{platform}/{locale}/firefox-{version}.complete.mar"
    if platform == "win64":
        return [
            ("target.installer.exe", f"{folder}/Firefox Setup {version}.exe", 120_000, True),
            ("target.installer.exe.asc", f"{folder}/Firefox Setup {version}.exe.asc", 845, True),
            ("target.zip", f"{folder}/firefox-{version}.zip", 9_000, False),
            ("target.complete.mar", mar, 300_000, True),
        ]
    return [
        ("target.tar.xz", f"{folder}/firefox-{version}.tar.xz", 70_000, True),
        ("target.checksums", f"{folder}/firefox-{version}.checksums", 500, False),
        ("target.complete.mar", mar, 300_000, True),
    ]


def told(data):
    return [len(data), md5(data)]


class Worker:
    """Its tasks so far."""

    def __init__(self):
        self.root = temporary_folder()
        self.numbers = itertools.count(1)
        self.s3 = client()
        # Of each version: what push-to-releases has to copy.
        self.released = {}
        # What its service account was given last.
        self.token = None

    def task(self, bucket, action, version, **payload):
        task = Task(self.root, next(self.numbers), bucket, action, bucket_config=bucket_config())
        task.payload.update(version=version, build_number=1, **payload)
        return task

    def build_task(self, bucket, action, version, platform, app="Firefox"):
        task = self.task(bucket, action, version, upload_date=1472747174)
        task.payload["releaseProperties"] = {
            "appName": app,
            "appVersion": version,
            "branch": "mozilla-beta",
            "buildid": "20201101000000",
            "hashType": "sha512",
            "platform": platform,
        }
        return task

    def candidates(self, version, words, locales=LOCALES):
        """push-to-candidates, one task for each platform and locale; `words` decide about the content."""
        tasks, uploaded, released = [], {}, self.released.setdefault(version, {})
        for platform, locale in itertools.product(PLATFORMS, locales):
            named = platform.replace("linux-x86_64", "linux64")
            task = self.build_task("dep", "push-to-candidates", version, named)
            for name, key, size, is_released in files(version, platform, locale):
                data = content(f"{words} {key}", size)
                task.artifact(f"public/build/{locale}/{name}", data, [candidates(version) + key], locale)
                uploaded[f"{FIREFOX}/{candidates(version)}{key}"] = told(data)
                if is_released:
                    released[f"{FIREFOX}/{releases(version)}{key}"] = told(data)
            tasks.append(task)
        succeed(tasks, AS_GIVEN)
        return {"uploaded": uploaded}

    def releases(self, version):
        """push-to-releases, and once more: what is there is found to be the same."""
        again = self.releases_task(version)
        succeed([self.releases_task(version)], AS_GIVEN)
        succeed([again], AS_GIVEN)
        copied = self.released.pop(version)
        same(again.log().count("already exists with the same content"), len(copied), "keys of the second push")
        return {"copied": copied}

    def conflict(self, version):
        """push-to-releases onto a release of other content."""
        fail(self.releases_task(version), AS_GIVEN, "already exists with different content")
        return {}

    def releases_task(self, version):
        return self.task("dep", "push-to-releases", version, product="firefox", partners=[])

    def elsewhere(self, version, words):
        """push-to-partner and push-to-maven: each has a bucket and a key pair of its own."""
        folder, name = f"ghost/{version}-1/ghost-variant/win64/en-US", f"Firefox Setup {version}.exe"
        partner = self.build_task("partner", "push-to-partner", version, "win64")
        data = content(f"{words} {name}", 12_345)
        partner.artifact(f"releng/partner/{folder}/target.installer.exe", data, locale=folder)
        uploaded = {f"{PARTNER}/{folder}/{name}": told(data)}
        key = "maven2/org/mozilla/geckoview/geckoview/83.0.20201101000000/geckoview-83.0.20201101000000.aar"
        maven = self.build_task("maven-staging", "push-to-maven", version, "android-api-16", app="geckoview")
        data = content(f"{words} {key}", 23_456)
        maven.artifact("public/build/geckoview.aar", data, [key])
        uploaded[f"{MAVEN}/{key}"] = told(data)
        succeed([partner, maven], AS_GIVEN)
        return {"uploaded": uploaded}

    def today(self, version, words):
        """What today's beetmover asks of Google Cloud Storage; its account is the one of the worker."""
        # What `setup_gcloud` does.
        path = self.root / "account.json"
        path.write_bytes(base64.decodebytes(os.environ["GCS_DEP_CREDS"].encode("ascii")))
        os.environ["GOOGLE_APPLICATION_CREDENTIALS"] = str(path)
        from google.cloud import storage

        gcs = storage.Client()
        same(gcs.bucket(PRODUCT_DELIVERY).exists(), True, "bucket.exists()")
        self.token = gcs._credentials.token
        uploaded = {}
        for platform, locale in itertools.product(PLATFORMS, LOCALES):
            for name, key, size, is_released in files(version, platform, locale):
                source = self.root / f"today-{name}"
                source.write_bytes(content(f"{words} {key}", size))
                # What is not released is left to RELEASE_EXCLUDE, which is not of Google's library.
                if is_released:
                    target = candidates(version) + key
                    gcs_push.upload(gcs, PRODUCT_DELIVERY, target, source, content_type(source))
                    uploaded[f"{PRODUCT_DELIVERY}/{target}"] = told(source.read_bytes())
        copied = gcs_push.push_to_releases(gcs, PRODUCT_DELIVERY, candidates(version), releases(version))
        moved = {key.replace(candidates(version), releases(version)): facts for key, facts in uploaded.items()}
        same(sorted(f"{PRODUCT_DELIVERY}/{key}" for key in copied), sorted(moved), "what was copied")
        os.remove(path)
        return {"uploaded": uploaded, "copied": moved}

    def update(self, keys):
        """What an update task fetches: {KEY: [SIZE, MD5, REDIRECTS]}."""
        prefix = os.environ["ARCHIVE_PREFIX"]
        urls = [prefix + quote(key.removeprefix("pub")) for key in keys]
        return {key: [*told(data), times] for key, (data, times) in zip(keys, download_all(urls))}

    def inventory(self):
        """Every object of every bucket, as it is listed and as it is read."""
        found = {}
        with ThreadPoolExecutor(8) as pool:
            for bucket in [entry["Name"] for entry in self.s3.list_buckets()["Buckets"]]:
                listed = list_all(self.s3, bucket)
                read = lambda key: self.s3.get_object(Bucket=bucket, Key=key)["Body"].read()
                for key, data in zip(listed, pool.map(read, listed)):
                    facts = listed[key]
                    same((facts["Size"], facts["ETag"]), (len(data), f'"{md5(data)}"'), f"{key} in the listing")
                    found[f"{bucket}/{key}"] = told(data)
        return found

    def stranger(self, url):
        """Its keys and its token at another stage: how often they were refused."""
        s3 = client(endpoint_url=url)
        name = {"Bucket": FIREFOX, "Key": "pub/stranger"}
        calls = [
            lambda: s3.put_object(Body=b"mine", **name),
            lambda: s3.get_object(**name),
            lambda: s3.list_objects(Bucket=FIREFOX),
        ]
        for call in calls:
            try:
                call()
            except ClientError as error:
                same(error.response["Error"]["Code"], "InvalidAccessKeyId", str(error))
            else:
                raise AssertionError("another stage knows these keys")
        bearer = {"Authorization": f"Bearer {self.token}"}
        listing = f"/storage/v1/b/{PRODUCT_DELIVERY}/o"
        same(requests.get(ENDPOINT + listing, headers=bearer, timeout=60).status_code, 200, "its token at its own stage")
        same(requests.get(url + listing, headers=bearer, timeout=60).status_code, 401, "its token at another stage")
        return {"refused": len(calls) + 1}

    def requests(self, bucket, wanted):
        """Signed requests one after another: [STATUS, BYTES] of each."""
        return [self.request(bucket, *request) for request in wanted]

    def request(self, bucket, what, key, *rest):
        name = {"Bucket": bucket, "Key": key}
        calls = {
            "put": lambda size: self.s3.put_object(Body=content(key, size), **name),
            "get": lambda: self.s3.get_object(**name),
            "get part": lambda span: self.s3.get_object(Range=span, **name),
            "head": lambda: self.s3.head_object(**name),
            "copy": lambda source: self.s3.copy_object(CopySource={"Bucket": bucket, "Key": source}, **name),
            "delete": lambda: self.s3.delete_object(**name),
            "delete several": lambda *more: self.s3.delete_objects(
                Bucket=bucket, Delete={"Objects": [{"Key": key} for key in (key, *more)]}
            ),
            "upload in parts": lambda size: self.in_parts(name, size),
        }
        try:
            answer = calls[what](*rest)
        except ClientError as error:
            return [error.response["ResponseMetadata"]["HTTPStatusCode"], 0]
        data = answer["Body"].read() if "Body" in answer else b""
        return [answer["ResponseMetadata"]["HTTPStatusCode"], len(data)]

    def in_parts(self, name, size):
        upload = {"UploadId": self.s3.create_multipart_upload(**name)["UploadId"]}
        part = self.s3.upload_part(PartNumber=1, Body=content("part", size), **name, **upload)
        parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
        return self.s3.complete_multipart_upload(MultipartUpload=parts, **name, **upload)


def main():
    same(beetmover_task.installed_as_published(), "8.5.6", "beetmover's version")
    worker = Worker()
    for line in sys.stdin:
        command = json.loads(line)
        answer = getattr(worker, command.pop("do"))(**command)
        print(json.dumps(answer), flush=True)


main()
