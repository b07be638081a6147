#!/usr/bin/env python3
"""Writes an audit log of a year to standard output, for COPY ... (FORMAT binary) into a table like
privacy_guard.audit_segment: so many records of one subject each, in merged segments.

    bench/audit_log.py [--records 10000000] [--subjects 1000000] [--segment 16384] [--seed 1]
"""
import argparse
import hashlib
import os
import random
import struct
import sys

START = 1735689600  # 2025-01-01
YEAR = 365 * 86400
POSTGRES_EPOCH = 946684800


def head(major, n):
    if n < 24:
        return bytes([major << 5 | n])
    for info, form, limit in ((24, ">BB", 1 << 8), (25, ">BH", 1 << 16), (26, ">BI", 1 << 32), (27, ">BQ", 1 << 64)):
        if n < limit:
            return struct.pack(form, major << 5 | info, n)


def item(value):
    if isinstance(value, str):
        return head(3, len(value)) + value.encode()
    if isinstance(value, list):
        return head(4, len(value)) + b"".join(map(item, value))
    return head(0, value) if value >= 0 else head(1, ~value)


def field(key, value):
    return head(0, key) + item(value)


def portable(numbers):
    """The 64-bit Roaring format, of ascending numbers below 2^32."""
    containers = {}
    for n in numbers:
        containers.setdefault(n >> 16, []).append(n & 0xffff)
    out = [struct.pack("<QIII", 1, 0, 12346, len(containers))]
    out += [struct.pack("<HH", key, len(low) - 1) for key, low in containers.items()]
    at = 8 + 8 * len(containers)
    for low in containers.values():
        out.append(struct.pack("<I", at))
        at += 2 * len(low) if len(low) <= 4096 else 8192
    for low in containers.values():
        if len(low) <= 4096:
            out.append(struct.pack("<%dH" % len(low), *low))
        else:
            bits = bytearray(8192)
            for n in low:
                bits[n >> 3] |= 1 << (n & 7)
            out.append(bytes(bits))
    return b"".join(out)


def session(rng, number):
    """The fields of a session before and after the number of the execution."""
    before = field(3, "%x.%x" % (START + number * 997, 2000 + number))
    who = "".join(chr(97 + rng.randrange(26)) for _ in range(7))
    after = (field(5, "crm_app") + field(6, "crm_app") + field(7, who) + field(8, "crm")
             + field(9, "10.0.%d.%d" % (number % 7, number % 251)) + field(10, 2000 + number))
    return before, after


def shapes(rng):
    """What the same statement says each time."""
    for purpose, basis, operation, relation, columns in (
            ("customer_care", "contract", "Access", "crm.customer", ["id", "name", "email", "phone"]),
            ("customer_care", "contract", "Access", "crm.orders", ["id", "customer_id", "placed_at"]),
            ("marketing.email", "consent", "Access", "crm.customer", ["id", "email"]),
            ("billing", "legal_obligation", "Modify", "crm.invoice", ["customer_id", "total", "due"])):
        yield (field(11, purpose) + field(12, 1) + field(13, basis) + field(14, 7) + field(15, operation)
               + field(16, relation) + field(17, 16400) + field(18, columns)
               + field(20, rng.randrange(-1 << 63, 1 << 63)) + field(21, 1) + field(23, 1)
               + head(0, 33) + b"\x81")


def timestamp(unix_micros):
    return struct.pack(">q", unix_micros - POSTGRES_EPOCH * 1000000)


def row(columns):
    return struct.pack(">h", len(columns)) + b"".join(struct.pack(">i", len(c)) + c for c in columns)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("records", 10000000), ("subjects", 1000000), ("segment", 16384), ("seed", 1)):
        parser.add_argument("--" + name, type=int, default=default)
    args = parser.parse_args()
    rng = random.Random(args.seed)
    sessions = [session(rng, i) for i in range(200)]
    statements = list(shapes(rng))
    step = YEAR * 1000000 // args.records
    write = sys.stdout.buffer.write
    write(b"PGCOPY\n\xff\r\n\0" + struct.pack(">ii", 0, 0))
    for first in range(0, args.records, args.segment):
        leaves = min(args.segment, args.records - first)
        numbers, records, marks = set(), [], []
        for leaf in range(first, first + leaves):
            before, after = sessions[rng.randrange(200)]
            number = rng.randrange(1, args.subjects + 1)
            numbers.add(number)
            record = b"".join((b"\xb6\x01\x01\x02", head(0, START * 1000000 + leaf * step), before, b"\x04",
                               head(0, leaf >> 6), after, statements[rng.randrange(4)], head(0, number)))
            marks.append(hashlib.sha256(b"\0" + record).digest()[:8])
            records.append(struct.pack(">I", len(record)) + record)
        begins, ends = START * 1000000 + first * step, START * 1000000 + (first + leaves - 1) * step
        write(row((struct.pack(">i", 1), struct.pack(">q", first), struct.pack(">i", leaves), timestamp(ends),
                   struct.pack(">h", 2), timestamp(begins), timestamp(ends), struct.pack(">i", 2),
                   b"\1" + portable(sorted(numbers)), b"".join(records), b"".join(marks),
                   os.urandom(32 * (leaves // 256)), os.urandom(32 * bin(first + leaves).count("1")))))
    write(struct.pack(">h", -1))


if __name__ == "__main__":
    main()
