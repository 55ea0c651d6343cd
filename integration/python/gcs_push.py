"""What today's beetmover asks of GCS to upload and in push-to-releases, call for call and argument for argument."""

from datetime import datetime

from google.cloud.storage import Bucket
from google.cloud.storage.retry import DEFAULT_RETRY


CACHE_CONTROL = "public, max-age=14400"


class Conflict(Exception):
    """The destination has other content."""


def upload(gcs, bucket, target, path, kind, expiry=None, overwrite=True):
    """Uploads a file; says whether there was one."""
    blob = Bucket(gcs, name=bucket).blob(target)
    blob.content_type = kind
    blob.cache_control = CACHE_CONTROL
    if expiry:
        blob.custom_time = datetime.fromisoformat(expiry)
    existed = blob.exists()
    options = {} if overwrite else {"if_generation_match": 0}
    blob.upload_from_filename(str(path), content_type=kind, retry=DEFAULT_RETRY, **options)
    return existed


def listing(gcs, bucket, prefix):
    return {blob.name: blob.md5_hash for blob in list(gcs.list_blobs(bucket, prefix=prefix))}


def push_to_releases(gcs, name, candidates_prefix, releases_prefix):
    """Copies what is not there yet; gives back what was copied."""
    candidates, releases = listing(gcs, name, candidates_prefix), listing(gcs, name, releases_prefix)
    bucket = Bucket(gcs, name)
    copied = []
    for source, digest in candidates.items():
        destination = source.replace(candidates_prefix, releases_prefix)
        if destination in releases:
            if releases[destination] != digest:
                raise Conflict(destination)
            continue
        blob = bucket.get_blob(source)
        copy = bucket.blob(destination)
        # So that the library sends a resource, and custom_time is not copied.
        copy._properties["name"] = destination
        copy._properties["bucket"] = bucket.name
        copy.content_type = blob.content_type
        copy.cache_control = blob.cache_control
        copy.rewrite(source=blob, retry=DEFAULT_RETRY)
        copied.append(destination)
    return copied
