"""The surface of S3 through boto3.

    boto3_surface.py objects|conditions|lists|multipart|checksums|buckets [--only TEXT]
"""

import argparse
import importlib

import cases

GROUPS = ["objects", "conditions", "lists", "multipart", "checksums", "buckets"]

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("group", choices=GROUPS)
parser.add_argument("--only", help="run only the cases whose name contains this")
arguments = parser.parse_args()
importlib.import_module(f"boto3_{arguments.group}")
cases.run(arguments.only)
