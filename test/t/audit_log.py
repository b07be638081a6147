#!/usr/bin/env python3
"""An audit log made independently of the library: records, segments, tree, proofs.

    audit_log.py sql LEAVES...      SQL that fills public.forged with segments of so many leaves
    audit_log.py roots N            the root of the first 0 .. N records, one a line
    audit_log.py inclusion N        "INDEX SIZE HASH,..." for sizes 1 .. N
    audit_log.py consistency N      "FIRST SECOND HASH,..." for sizes 1 .. N

AUDIT_LOG_FORGE=N in the environment makes record number N another one.
"""

import hashlib
import os
import sys
from datetime import datetime, timedelta, timezone
from functools import lru_cache

BEGIN = datetime(2026, 1, 1, tzinfo=timezone.utc)
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
BLOCK = 256


def sha256(data):
    return hashlib.sha256(data).digest()


# Records: deterministic CBOR, RFC 8949 section 4.2.1


def cbor_head(major, number):
    if number < 24:
        return bytes([major << 5 | number])
    for info, size in ((24, 1), (25, 2), (26, 4), (27, 8)):
        if number < 1 << (8 * size):
            return bytes([major << 5 | info]) + number.to_bytes(size, "big")
    raise OverflowError


def cbor(value):
    if isinstance(value, int):
        return cbor_head(0, value) if value >= 0 else cbor_head(1, -1 - value)
    if isinstance(value, str):
        text = value.encode()
        return cbor_head(3, len(text)) + text
    if isinstance(value, list):
        return cbor_head(4, len(value)) + b"".join(map(cbor, value))
    return cbor_head(5, len(value)) + b"".join(
        cbor(key) + cbor(value[key]) for key in sorted(value)
    )


def record_time(i):
    """Two hours between one and the next: a thousand records take three months."""
    return BEGIN + i * timedelta(hours=2)


def record_kind(i):
    return 1 + i % 5


def record_subjects(i):
    return [1 + i % 7, 100 + i]


@lru_cache(maxsize=None)
def record(i):
    return cbor(
        {
            1: record_kind(i),
            2: (record_time(i) - EPOCH) // timedelta(microseconds=1),
            3: "68a0c5f2.1b3",
            5: "mallory" if os.environ.get("AUDIT_LOG_FORGE") == str(i) else "alice",
            15: "Access",
            20: -i,
            23: 1,
            25: "record %d " % i + "x" * (i % 300),
            33: record_subjects(i),
        }
    )


# The tree: the definitions of RFC 9162 section 2.1, word for word


@lru_cache(maxsize=None)
def mth(first, end):
    n = end - first
    if n == 0:
        return sha256(b"")
    if n == 1:
        return sha256(b"\x00" + record(first))
    k = split(n)
    return sha256(b"\x01" + mth(first, first + k) + mth(first + k, end))


def split(n):
    k = 1
    while k * 2 < n:
        k *= 2
    return k


def path(m, first, end):
    n = end - first
    if n == 1:
        return []
    k = split(n)
    if m < k:
        return path(m, first, first + k) + [mth(first + k, end)]
    return path(m - k, first + k, end) + [mth(first, first + k)]


def subproof(m, first, end, whole):
    n = end - first
    if m == n:
        return [] if whole else [mth(first, end)]
    k = split(n)
    if m <= k:
        return subproof(m, first, first + k, whole) + [mth(first + k, end)]
    return subproof(m - k, first + k, end, False) + [mth(first, first + k)]


def frontier(size):
    peaks, first = [], 0
    for bit in reversed(range(size.bit_length())):
        if size >> bit & 1:
            peaks.append(mth(first, first + (1 << bit)))
            first += 1 << bit
    return peaks


# Segments, as they are stored


def hexed(data):
    return "'\\x" + data.hex() + "'"


def segment(first, leaves):
    end = first + leaves
    records = [record(i) for i in range(first, end)]
    subjects = sorted({s for i in range(first, end) for s in record_subjects(i)})
    kinds = 0
    for i in range(first, end):
        kinds |= 1 << record_kind(i)
    return (
        "INSERT INTO public.forged (origin_id, first_leaf, leaves, sealed_at, level, first_time, last_time, kinds,"
        " subjects, records, marks, nodes, frontier) VALUES (1, %d, %d, '%s', 0, '%s', '%s', %d, '{%s}', %s, %s, %s, %s);"
        % (
            first,
            leaves,
            (record_time(end - 1) + timedelta(seconds=1)).isoformat(),
            record_time(first).isoformat(),
            record_time(end - 1).isoformat(),
            kinds,
            ",".join(map(str, subjects)),
            hexed(b"".join(len(r).to_bytes(4, "big") + r for r in records)),
            hexed(b"".join(mth(i, i + 1)[:8] for i in range(first, end))),
            hexed(
                b"".join(
                    mth(i + 1 - BLOCK, i + 1)
                    for i in range(first, end)
                    if (i + 1) % BLOCK == 0
                )
            ),
            hexed(b"".join(frontier(end))),
        )
    )


# What proofs are asked for: all of small trees, some of each larger one


def some(least, size):
    if size <= 24:
        return list(range(least, size))
    return sorted({least, size // 3, size // 2, size - 1 - size % 17, size - 1})


def main(command, numbers):
    n = numbers[0]
    if command == "sql":
        first = 0
        for leaves in numbers:
            print(segment(first, leaves))
            first += leaves
    elif command == "roots":
        for size in range(n + 1):
            print(mth(0, size).hex())
    elif command == "inclusion":
        for size in range(1, n + 1):
            for i in some(0, size):
                print(i, size, ",".join(h.hex() for h in path(i, 0, size)))
    elif command == "consistency":
        for size in range(1, n + 1):
            for m in some(1, size + 1):
                print(m, size, ",".join(h.hex() for h in subproof(m, 0, size, True)))


main(sys.argv[1], [int(argument) for argument in sys.argv[2:]])
