"""Tasks for beetmoverscript 8.5.6, and its own entry point to run them.

The package is used as it was published: `installed_as_published` compares every file with the
digests in its wheel. A task is what scriptworker would hand it: a folder with task.json and the
upstream artifacts below `cot/`, and a configuration file.
"""

import asyncio
import base64
import hashlib
import importlib.metadata
import json
import mimetypes
import os
import subprocess
import sys
import time
import traceback
from pathlib import Path

from beetmoverscript import script

from stage import ACCESS_KEY_ID, SECRET_ACCESS_KEY

# Instead of a region: the worker's environment is this program's, as it is.
AS_GIVEN = object()

# Slug ids as Taskcluster makes them; beetmover checks their form.
TASK_ID = "{:08d}QACAAAAAAAAAAA"

BUCKETS = {
    "release": {"firefox": "stage-firefox"},
    "nightly": {"firefox": "stage-firefox"},
    "dep": {"firefox": "stage-paged"},
    "partner": {"firefox": "stage-partner"},
    "maven-production": {"geckoview": "stage-maven", "components": "stage-maven"},
}


def installed_as_published():
    """The version, after comparing each file of the package with the digest in its wheel."""
    package = importlib.metadata.distribution("beetmoverscript")
    checked = 0
    for file in package.files:
        if file.hash and "__pycache__" not in file.parts and file.suffix == ".py" and file.parts[0] != "..":
            digest = hashlib.new(file.hash.mode, file.read_binary()).digest()
            if base64.urlsafe_b64encode(digest).rstrip(b"=").decode() != file.hash.value:
                raise AssertionError(f"{file} is not the file that was published")
            checked += 1
    assert checked > 5, "the package's RECORD lists its modules"
    return package.version


class Task:
    """One task: its artifacts, its payload, and what became of it."""

    def __init__(self, root, number, bucket, action, secret=SECRET_ACCESS_KEY, bucket_config=None):
        self.folder = Path(root) / f"{number:03d}-{action}"
        self.task_id = TASK_ID.format(number)
        self.upstream = {}
        self.map = {}
        self.payload = {}
        self.sources = {}
        self.task = {
            "dependencies": [self.task_id],
            "scopes": [f"project:releng:beetmover:bucket:{bucket}", f"project:releng:beetmover:action:{action}"],
            "payload": self.payload,
            "tags": {"kind": "beetmover-repackage"},
        }
        self.config = {
            "work_dir": str(self.folder / "work"),
            "artifact_dir": str(self.folder / "artifacts"),
            "taskcluster_scope_prefix": "project:releng:beetmover:",
            "aiohttp_max_connections": 5,
            "checksums_digests": ["sha512", "sha256"],
            "verbose": False,
            "bucket_config": bucket_config
            or {
                scope: {
                    "credentials": {"id": ACCESS_KEY_ID, "key": secret},
                    "buckets": buckets,
                    "url_prefix": "https://ftp.stage.mozaws.net",
                }
                for scope, buckets in BUCKETS.items()
            },
        }
        (self.folder / "work").mkdir(parents=True)
        (self.folder / "artifacts/public").mkdir(parents=True)

    def artifact(self, path, data, destinations=(), locale="en-US"):
        """Adds an upstream artifact, with its destinations if the task maps its artifacts."""
        source = self.folder / "work/cot" / self.task_id / path
        source.parent.mkdir(parents=True, exist_ok=True)
        source.write_bytes(data)
        self.upstream.setdefault(locale, []).append(path)
        self.map_entry(path, source, destinations, locale)
        return source

    def map_entry(self, path, source, destinations, locale="en-US"):
        """Says where an artifact goes; `source` is the file to compare with afterwards."""
        if destinations:
            checksums_path = "/".join(destinations[0].split("/")[-3:])
            entry = {"destinations": list(destinations), "checksums_path": checksums_path}
            self.map.setdefault(locale, {})[path] = entry
        for destination in destinations:
            self.sources[destination] = source

    def written(self):
        """Writes task.json and the configuration; gives back the latter's path."""
        if self.upstream:
            self.payload.setdefault(
                "upstreamArtifacts",
                [
                    {"taskId": self.task_id, "taskType": "build", "locale": locale, "paths": paths}
                    for locale, paths in self.upstream.items()
                ],
            )
        if self.map:
            self.payload["artifactMap"] = [
                {"taskId": self.task_id, "locale": locale, "paths": paths} for locale, paths in self.map.items()
            ]
        (self.folder / "work/task.json").write_text(json.dumps(self.task, indent=2))
        path = self.folder / "config.json"
        path.write_text(json.dumps(self.config, indent=2))
        return str(path)

    def log(self):
        return (self.folder / "log.txt").read_text(errors="replace")

    def checksums(self):
        """The lines of the checksums file that the task leaves for the next one."""
        return (self.folder / "artifacts/public/target.checksums").read_text().splitlines()


def by_console_script(task, region):
    """Runs the command that pip installed, as scriptworker does; gives back its exit code."""
    command = [os.path.join(os.path.dirname(sys.executable), "beetmoverscript"), task.written()]
    with open(task.folder / "log.txt", "wb") as log:
        return subprocess.run(command, env=environment(region), stdout=log, stderr=log).returncode


def run(tasks, region, impatient=False):
    """Runs tasks side by side, each in a process of its own; gives back their exit codes.

    The processes are forks of this one, past the imports. `impatient` skips the sleeps between
    retries, and nothing else.
    """
    running = {start(task, region, impatient): task for task in tasks}
    codes = {}
    while running:
        pid, status = os.wait()
        codes[running.pop(pid).task_id] = os.waitstatus_to_exitcode(status)
    return [codes[task.task_id] for task in tasks]


def start(task, region, impatient):
    """Forks a process that runs beetmover's `main` on a task; gives back its process id."""
    config = task.written()
    pid = os.fork()
    if pid:
        return pid
    code = 99
    try:
        with open(task.folder / "log.txt", "wb") as log:
            os.dup2(log.fileno(), 1)
            os.dup2(log.fileno(), 2)
        wanted = environment(region)
        os.environ.clear()
        os.environ.update(wanted)
        if impatient:
            sleep = asyncio.sleep
            asyncio.sleep = lambda delay, *rest, **named: sleep(0, *rest, **named)
            time.sleep = lambda seconds: None
        script.main(config)
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def environment(region):
    """The worker's environment: an endpoint and nothing else of AWS but perhaps a region."""
    if region is AS_GIVEN:
        return dict(os.environ)
    kept = {name: value for name, value in os.environ.items() if name not in ("AWS_REGION", "AWS_DEFAULT_REGION")}
    # Its credentials are in its own configuration.
    kept.pop("AWS_ACCESS_KEY_ID", None)
    kept.pop("AWS_SECRET_ACCESS_KEY", None)
    return kept | ({"AWS_DEFAULT_REGION": region} if region else {})


def succeed(tasks, region):
    """Runs tasks that must succeed."""
    for task, code in zip(tasks, run(tasks, region)):
        if code != 0:
            raise AssertionError(f"{task.folder.name} ended with {code}:\n{task.log()}")


def fail(task, region, reason, impatient=False):
    """Runs a task that must fail and say why."""
    [code] = run([task], region, impatient)
    if code == 0 or reason not in task.log():
        raise AssertionError(f"{task.folder.name} ended with {code}, not saying {reason!r}:\n{task.log()}")


def content_type(path):
    """The Content-Type that beetmover takes from a file's name, on this machine."""
    if not mimetypes.inited:
        script.setup_mimetypes()
    return mimetypes.guess_type(str(path))[0]
