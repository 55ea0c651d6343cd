"""CRC-32C and CRC-64/NVME, bit by bit from their definitions: a second opinion on the server's."""

import base64
import hashlib
import zlib


def table(polynomial):
    rows = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (polynomial if byte & 1 else 0)
        rows.append(byte)
    return rows


CRC32C = table(0x82F63B78)
CRC64NVME = table(0x9A6C9329AC4BC9B5)


def reflected(rows, bits, data):
    ones = (1 << bits) - 1
    crc = ones
    for byte in data:
        crc = rows[(crc ^ byte) & 0xFF] ^ crc >> 8
    return (crc ^ ones).to_bytes(bits // 8, "big")


RAW = {
    "CRC32": lambda data: zlib.crc32(data).to_bytes(4, "big"),
    "CRC32C": lambda data: reflected(CRC32C, 32, data),
    "CRC64NVME": lambda data: reflected(CRC64NVME, 64, data),
    "SHA1": lambda data: hashlib.sha1(data).digest(),
    "SHA256": lambda data: hashlib.sha256(data).digest(),
}

ALGORITHMS = list(RAW)


def checksum(algorithm, data):
    """The value as S3's headers carry it."""
    return base64.b64encode(RAW[algorithm](data)).decode()


def composite(algorithm, parts):
    """The checksum of the parts' raw checksums, with the number of parts."""
    joined = b"".join(RAW[algorithm](part) for part in parts)
    return f"{checksum(algorithm, joined)}-{len(parts)}"


assert RAW["CRC32C"](b"123456789").hex() == "e3069283"
assert RAW["CRC64NVME"](b"123456789").hex() == "ae8b14860a799888"
