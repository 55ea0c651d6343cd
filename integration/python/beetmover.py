"""beetmoverscript 8.5.6 publishes a small release, and another client looks at what is there.

    beetmover.py release [--region REGION]    every action, on a release of three platforms
    beetmover.py paged                        push-to-releases of more than 1,000 keys

A region decides how beetmover's boto3 presigns: unset is SigV2, eu-central-1 is SigV4.
"""

import argparse
import io
import itertools
import json
import zipfile
from concurrent.futures import ThreadPoolExecutor

import beetmover_task
from beetmover_task import Task, content_type, fail, succeed
from stage import ODD_NAMES, client, content, list_all, md5, report, same, temporary_folder

VERSION = "141.0"
CANDIDATES = f"pub/firefox/candidates/{VERSION}-candidates/build1/"
RELEASES = f"pub/firefox/releases/{VERSION}/"
CACHE_CONTROL = "public, max-age=14400"
PLATFORMS = ("linux-x86_64", "win64", "mac")
LOCALES = ("en-US", "de")


class Publisher:
    """One release in the making: its tasks, and how many requests each kind must have made."""

    def __init__(self, region):
        self.region = region
        self.root = temporary_folder()
        self.numbers = itertools.count(1)
        self.s3 = client()
        self.counts = {"uploads": 0, "copies": 0, "listings": 0}

    def task(self, bucket, action, **options):
        return Task(self.root, next(self.numbers), bucket, action, **options)

    def build_task(self, bucket, action, platform, app="Firefox"):
        """A task whose artifacts come from a build."""
        task = self.task(bucket, action)
        task.payload.update(version=VERSION, build_number=1, upload_date=1472747174)
        task.payload["releaseProperties"] = {
            "appName": app,
            "appVersion": VERSION,
            "branch": "mozilla-release",
            "buildid": "20250715000000",
            "hashType": "sha512",
            "platform": platform,
        }
        return task

    def uploaded(self, bucket, tasks):
        """Compares every object that these tasks uploaded with the file it came from."""
        for key, source in [pair for task in tasks for pair in task.sources.items()]:
            self.counts["uploads"] += 1
            self.stored(bucket, key, source.read_bytes(), content_type(source))

    def stored(self, bucket, key, data, kind):
        """Compares one object with what it must be: bytes, headers and ETag."""
        answer = self.s3.get_object(Bucket=bucket, Key=key)
        same(answer["Body"].read() == data, True, f"{key} has its bytes")
        seen = {name: answer.get(name) for name in ("ContentLength", "ContentType", "CacheControl", "ContentEncoding")}
        wanted = {
            "ContentLength": len(data),
            "ContentType": kind,
            "CacheControl": CACHE_CONTROL,
            "ContentEncoding": None,
        }
        same(seen, wanted, key)
        same(answer["ETag"], f'"{md5(data)}"', f"ETag of {key}")


def platform_files(platform, locale):
    """Artifact name, pretty name, size, and whether push-to-releases takes it along."""
    base = f"firefox-{VERSION}"
    if platform == "win64":
        return [
            ("target.installer.exe", f"Firefox Setup {VERSION}.exe", 1_500_000, True),
            ("target.installer.exe.asc", f"Firefox Setup {VERSION}.exe.asc", 845, True),
            ("target.zip", f"{base}.zip", 9_000, False),
            ("target.complete.mar", f"{base}.complete.mar", 300_000, True),
            ("buildhub.json", f"{base}.buildhub.json", 0, False),
        ]
    if platform == "mac":
        return [
            ("target.dmg", f"Firefox {VERSION}.dmg", 100_000, True),
            ("target.pkg", f"Firefox {VERSION}.pkg", 65_537, True),
            ("target.langpack.xpi", f"{locale}.xpi", 65_536, True),
            ("target.txt", f"{base}.txt", 30, False),
        ]
    return [
        ("target.tar.bz2", f"{base}.tar.bz2", 9_000_000, True),
        ("target.tar.bz2.asc", f"{base}.tar.bz2.asc", 845, True),
        ("target.tar.xz", f"{base}.tar.xz", 70_000, True),
        ("target.jsshell.zip", f"jsshell-{platform}.zip", 20_000, True),
        ("target.checksums", f"{base}.checksums", 500, False),
        ("SHA512SUMS", "SHA512SUMS", 400, True),
        ("target.apk", "empty.apk", 0, True),
        ("mbsdiff", "mbsdiff", 5_000, True),
    ]


def push_to_candidates(publisher):
    """One task for each platform and locale, as in a release; gives back the keys to be released."""
    tasks, released = [], {}
    for platform, locale in itertools.product(PLATFORMS, LOCALES):
        task = publisher.build_task("release", "push-to-candidates", "linux64" if "linux" in platform else platform)
        for name, pretty, size, is_released in platform_files(platform, locale):
            destination = f"{CANDIDATES}{platform}/{locale}/{pretty}"
            data = content(destination, size) if name != "buildhub.json" else json.dumps({"download": {}}).encode()
            source = task.artifact(f"public/build/{locale}/{name}", data, [destination], locale)
            if is_released:
                released[destination] = source
        tasks.append(task)
    same(beetmover_task.by_console_script(tasks[0], publisher.region), 0, f"exit code of {tasks[0].folder}")
    succeed(tasks[1:], publisher.region)
    publisher.uploaded("stage-firefox", tasks)

    # Linux names a file first, so that these must be true of it whatever the machine's tables say.
    kinds = {"firefox-141.0.tar.bz2": "application/x-tar", "SHA512SUMS": "text/plain", "mbsdiff": "text/plain"}
    for pretty, kind in kinds.items():
        head = publisher.s3.head_object(Bucket="stage-firefox", Key=f"{CANDIDATES}linux-x86_64/en-US/{pretty}")
        same(head["ContentType"], kind, pretty)
    buildhub = publisher.s3.get_object(
        Bucket="stage-firefox", Key=f"{CANDIDATES}win64/de/firefox-{VERSION}.buildhub.json"
    )
    url = json.load(buildhub["Body"])["download"]["url"]
    same(url.endswith(f"{CANDIDATES}win64/de/Firefox%20Setup%20{VERSION}.exe"), True, url)
    same(len(tasks[0].checksums()), 2 * len(tasks[0].sources), "lines of checksums")
    return released


def push_odd_names(publisher):
    """Names that each library on the way escapes in its own manner."""
    task = publisher.build_task("release", "push-to-candidates", "linux64")
    released = {}
    for number, name in enumerate(ODD_NAMES):
        destination = f"{CANDIDATES}odd names/{name}"
        suffix = ".exe" if name.endswith(".exe") else ".asc"
        source = task.artifact(f"public/odd/{number}{suffix}", content(name, 100 + number), [destination])
        released[destination] = source
    succeed([task], publisher.region)
    publisher.uploaded("stage-firefox", [task])
    return released


def push_to_partner(publisher):
    """Public repacks go beside the release, private ones to a bucket of their own."""
    names = {
        "target.installer.exe": f"Firefox Setup {VERSION}.exe",
        "target.installer.exe.asc": f"Firefox Setup {VERSION}.exe.asc",
    }
    public = publisher.build_task("release", "push-to-partner", "win64")
    private = publisher.build_task("partner", "push-to-partner", "win64")
    folders = {
        public: ("partner-repacks/ghost/ghost-variant/v1/win64/en-US", CANDIDATES),
        private: (f"ghost/{VERSION}-1/ghost-variant/win64/en-US", ""),
    }
    for task, (folder, prefix) in folders.items():
        for name, pretty in names.items():
            path = f"releng/partner/{folder}/{name}"
            source = task.artifact(path, content(path, 12_345), locale=folder)
            task.sources[f"{prefix}{folder}/{pretty}"] = source
    succeed([public, private], publisher.region)
    publisher.uploaded("stage-firefox", [public])
    publisher.uploaded("stage-partner", [private])
    return public.sources


def push_to_nightly(publisher):
    """Two nightlies: each has a folder of its own, and both write the same latest-mozilla-central."""
    for day in ("2025-07-15-09-00-00", "2025-07-16-09-00-00"):
        task = publisher.build_task("nightly", "push-to-nightly", "linux64")
        for name in ("target.complete.mar", "target.tar.xz", "target.checksums"):
            dated = f"pub/firefox/nightly/2025/07/{day}-mozilla-central/firefox-142.0a1.en-US.{name}"
            latest = f"pub/firefox/nightly/latest-mozilla-central/firefox-142.0a1.en-US.{name}"
            task.artifact(f"public/build/{name}", content(dated, 80_000), [dated, latest])
        succeed([task], publisher.region)
        publisher.uploaded("stage-firefox", [task])


def push_to_maven(publisher):
    """Single files, and an archive that beetmover takes apart."""
    folder = "maven2/org/mozilla/geckoview/geckoview/141.0.20250715000000/"
    single = publisher.build_task("maven-production", "push-to-maven", "android-api-16", app="geckoview")
    for suffix in (".aar", ".aar.md5", ".aar.sha1", ".pom"):
        name = f"geckoview-141.0.20250715000000{suffix}"
        single.artifact(f"public/build/{name}", content(name, 70_000), [folder + name])

    archived = publisher.build_task("maven-production", "push-to-maven", "android-api-16", app="components")
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for suffix in (".jar", ".jar.sha1", "-sources.jar"):
            path = f"org/mozilla/components/browser/9.0.0/browser-9.0.0{suffix}"
            archive.writestr(path, content(path, 3_000))
    source = archived.artifact("public/build/target.maven.zip", file.getvalue())
    for path in zipfile.ZipFile(file).namelist():
        archived.map_entry(path, source.parent / f"{source.name}.out" / path, [f"maven2/{path}"])
    archived.payload["upstreamArtifacts"] = [
        {
            "taskId": archived.task_id,
            "taskType": "build",
            "paths": ["public/build/target.maven.zip"],
            "zipExtract": True,
        }
    ]
    succeed([single, archived], publisher.region)
    publisher.uploaded("stage-maven", [single, archived])


def releases_task(publisher, version=VERSION, bucket="release", partners=()):
    task = publisher.task(bucket, "push-to-releases")
    task.payload.update(product="firefox", version=version, build_number=1, partners=list(partners))
    publisher.counts["listings"] += 2
    return task


def release_key(key):
    """Where push-to-releases copies a candidate to."""
    partner = f"{CANDIDATES}partner-repacks/ghost/ghost-variant/v1/"
    if key.startswith(partner):
        return f"pub/firefox/releases/partners/ghost/ghost-variant/{VERSION}/{key.removeprefix(partner)}"
    return RELEASES + key.removeprefix(CANDIDATES)


def push_to_releases(publisher, sources):
    """The first push copies everything, the second nothing, and a conflict stops the third."""
    succeed([releases_task(publisher, partners=["ghost/ghost-variant"])], publisher.region)
    publisher.counts["copies"] += len(sources)
    listed = list_all(publisher.s3, "stage-firefox", "pub/firefox/releases/")
    same(sorted(listed), sorted(map(release_key, sources)), "what is in releases")
    for key, source in sources.items():
        publisher.stored("stage-firefox", release_key(key), source.read_bytes(), content_type(source))

    # Without the partners: beetmover never lists where they go and copies them each time.
    again = releases_task(publisher)
    succeed([again], publisher.region)
    skipped = sum(release_key(key).startswith(RELEASES) for key in sources)
    same(again.log().count("already exists with the same content"), skipped, "keys skipped")
    same(list_all(publisher.s3, "stage-firefox", "pub/firefox/releases/"), listed, "releases, after the second push")

    changed = f"{CANDIDATES}win64/de/Firefox Setup {VERSION}.exe"
    publisher.s3.put_object(Bucket="stage-firefox", Key=changed, Body=b"not what was released")
    publisher.counts["uploads"] += 1
    fail(releases_task(publisher), publisher.region, "already exists with different content")
    same(list_all(publisher.s3, "stage-firefox", "pub/firefox/releases/"), listed, "releases, after the conflict")
    fail(releases_task(publisher, version="9.9"), publisher.region, "No artifacts to copy")


def wrong_secret_is_refused(publisher):
    """Five tries, each refused, and nothing stored."""
    task = publisher.task("release", "push-to-candidates", secret="not+the/secret+of+this+access+key")
    task.payload.update(publisher.build_task("release", "push-to-candidates", "win64").payload)
    key = f"{CANDIDATES}refused/file.asc"
    task.artifact("public/build/file.asc", b"never stored", [key])
    fail(task, publisher.region, "Bad status 403", impatient=True)
    same(task.log().count("SignatureDoesNotMatch") >= 5, True, f"refusals in\n{task.log()}")
    same(list_all(publisher.s3, "stage-firefox", key), {}, "refused uploads")


def release(region):
    publisher = Publisher(region)
    released = push_to_candidates(publisher)
    released |= push_odd_names(publisher)
    released |= push_to_partner(publisher)
    push_to_nightly(publisher)
    push_to_maven(publisher)
    push_to_releases(publisher, released)
    wrong_secret_is_refused(publisher)
    return publisher.counts


def paged():
    """Candidates that take two pages to list; the first push finds no page at all in releases."""
    publisher = Publisher(region=None)
    names = [f"odd names/{name}" for name in ODD_NAMES] + [f"{number:04d} +%20/firefox.mar" for number in range(1_031)]
    with ThreadPoolExecutor(8) as pool:
        put = lambda name: publisher.s3.put_object(
            Bucket="stage-paged", Key=CANDIDATES + name, Body=name.encode(), CacheControl=CACHE_CONTROL
        )
        publisher.counts["uploads"] += len(list(pool.map(put, names)))
    succeed([releases_task(publisher, bucket="dep")], region=None)
    listed = list_all(publisher.s3, "stage-paged", RELEASES)
    same(sorted(listed), sorted(RELEASES + name for name in names), "what is in releases")
    wanted = {RELEASES + name: f'"{md5(name.encode())}"' for name in names}
    same({key: entry["ETag"] for key, entry in listed.items()}, wanted, "ETags")

    succeed([releases_task(publisher, bucket="dep")], region=None)
    same(list_all(publisher.s3, "stage-paged", RELEASES), listed, "releases, after the second push")
    publisher.counts.update(copies=len(names), listings=2 + 1 + 2 + 2)
    return publisher.counts


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["release", "paged"])
    parser.add_argument("--region")
    arguments = parser.parse_args()
    version = beetmover_task.installed_as_published()
    counts = release(arguments.region) if arguments.what == "release" else paged()
    report(version=version, **counts)


main()
