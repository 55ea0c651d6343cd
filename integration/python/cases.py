"""Cases against a bucket of their own: found by decorator, all run, every failure shown.

A program imports the module of its group, whose functions are marked with `@case`, and calls
`run`. A case takes a boto3 client and the name of an empty bucket.
"""

import sys
import traceback

from botocore.exceptions import ClientError

from stage import client, report, same

CASES = []


def case(function):
    """Marks a function as a case; its name is the fact that it shows."""
    CASES.append(function)
    return function


def run(only=None):
    """Runs every case, or those whose name contains `only`; fails after the last if any failed."""
    s3 = client()
    passed, failed = [], []
    for number, function in enumerate(CASES):
        if only and only not in function.__name__:
            continue
        bucket = f"case-{number:03d}-{function.__module__.replace('_', '-')}"
        try:
            s3.create_bucket(Bucket=bucket)
            function(s3, bucket)
            passed.append(function.__name__)
        except Exception:
            print(f"--- {function.__name__}\n{traceback.format_exc()}", file=sys.stderr)
            failed.append(function.__name__)
    if failed:
        sys.exit(f"{len(passed)} cases passed, {len(failed)} failed: {', '.join(failed)}")
    report(passed=len(passed))


def refused(call, status, code, **parameters):
    """Makes a call that must be refused; gives back the parsed error."""
    try:
        answer = call(**parameters)
    except ClientError as error:
        got = (error.response["ResponseMetadata"]["HTTPStatusCode"], error.response["Error"]["Code"])
        same(got, (status, code), f"{call.__name__} {shown(parameters)}: {error}")
        return error.response["Error"]
    raise AssertionError(f"{call.__name__} {shown(parameters)} was not refused with {code}: {answer}")


def shown(parameters):
    return {name: value if len(repr(value)) < 200 else "…" for name, value in parameters.items()}
