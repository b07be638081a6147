"""Measures privacy_guard against plain PostgreSQL and what people use instead; see "bench/run --help".

Four servers, made from one: without the library (plain tables, row-level security written by hand,
an INSERT for each read), with pgaudit, and with privacy_guard, with its audit and without. Each round
of a workload asks every system once, in turn, so that what else the machine does touches all of them;
figures are medians over the rounds, as ratios to the plain table.
"""
import argparse
import datetime
import math
import os
import re
import statistics
import time

import erasure
import gdpr
from server import HERE, Server, Session, progress, run

# ---- systems ---------------------------------------------------------------------------------------

class System:
    """A way to do it: where it runs, which scripts differ from everybody's, and how durable its audit is."""

    def __init__(self, title, server, database, suffix=None, durability=None):
        self.title, self.server, self.database, self.suffix = title, server, database, suffix
        self.durability = durability

    def begin(self):
        if self.durability:
            self.server.change("privacy_guard.audit_durability", self.durability)

    def script(self, name):
        for candidate in (f"{name}_{self.suffix}.sql", f"{name}.sql"):
            path = os.path.join(HERE, "load", candidate)
            if os.path.exists(path):
                return path
        raise FileNotFoundError(name)

    def pgbench(self, script, *args, options=""):
        """Transactions a second, without the time to connect."""
        self.begin()
        out = self.server.pgbench(self.database, "-D", f"customers={ARGS.customers}", "-f", self.script(script),
                                  *args, options=options)
        return float(re.search(r"tps = ([0-9.]+)", out)[1])

    def session(self):
        self.begin()
        return Session(self.server, self.database)


# ---- workloads -------------------------------------------------------------------------------------

SERIAL = "-c max_parallel_workers_per_gather=0"


RLS = ("RLS, EXISTS", "RLS, function")
AUDITS = ("pgaudit", "INSERT per read")
GUARD = ("audit off", "async")
DURABLE = ("transaction", "disclosure")


class Workload:
    """Queries are timed, in seconds; loads are counted, in transactions a second. Besides plain, the
    systems of these titles are asked. What the disk does with a commit would hide everything else:
    only where it is told to, fsync is on."""

    def __init__(self, title, script, kind, titles, clients=1, options="", target="", fsync="off"):
        self.title, self.script, self.kind, self.titles = title, script, kind, titles
        self.clients, self.options, self.target, self.fsync = clients, options, target, fsync

    def once(self, system):
        if self.kind == "query":
            try:
                return 1 / system.pgbench(self.script, "-t", "1",
                                          options=f"{self.options} -c statement_timeout={ARGS.limit}s")
            except TimeoutError:
                return math.inf
        return system.pgbench(self.script, "-T", str(ARGS.seconds), "-c", str(self.clients),
                              "-j", str(min(2, self.clients)), options=self.options)

    def measure(self, systems):
        systems = [s for s in systems if s.title == "plain" or s.title in self.titles]
        for system in systems:
            system.server.change("fsync", self.fsync)
        found = {s.title: [] for s in systems}
        slow = set()
        for system in systems:  # caches of the server and the machine
            if self.kind == "query":
                value = self.once(system)
                if value > ARGS.patience:
                    slow.add(system.title)
                    found[system.title].append(value if value == math.inf else self.once(system))
            else:
                system.pgbench(self.script, "-t", "200", options=self.options)
        for _ in range(ARGS.rounds):
            for system in systems:
                if system.title not in slow:
                    found[system.title].append(self.once(system))
        return {title: statistics.median(values) for title, values in found.items()}


WORKLOADS = [
    Workload("count(*), serial", "count", "query", RLS + ("pgaudit",) + GUARD + DURABLE, options=SERIAL,
             target="≤ 1.4, 1.7"),
    Workload("count(*), parallel", "count", "query", RLS + GUARD, target="≤ 1.4, 1.7"),
    Workload("count(*), uuid keys, serial", "count_uuid", "query", RLS[:1] + GUARD, options=SERIAL),
    Workload("aggregate, one table", "aggregate", "query", RLS + GUARD, target="≤ 1.15"),
    Workload("join and aggregate, two tables", "join_two", "query", RLS[:1] + GUARD, target="≤ 1.15"),
    Workload("join and aggregate, three tables, one through its parent", "join_via", "query", RLS[:1] + GUARD,
             target="≤ 1.15"),
    Workload("aggregate, every row through its parent", "aggregate_via", "query", GUARD),
    Workload("point select, 1 client", "point", "load", RLS + AUDITS + GUARD + DURABLE, target="≥ 0.90"),
    Workload("point select, 4 clients", "point", "load", RLS + AUDITS + GUARD + DURABLE, clients=4, target="≥ 0.80"),
    Workload("point select, uuid keys, 1 client", "point_uuid", "load", RLS[:1] + GUARD),
    Workload("100-row range, 1 client", "range", "load", RLS[:1] + AUDITS + GUARD + DURABLE, target="≥ 0.80"),
    Workload("100-row range, uuid keys, 1 client", "range_uuid", "load", GUARD),
    Workload("BEGIN, SET LOCAL, point select, COMMIT, 4 clients", "transaction", "load", GUARD, clients=4),
    Workload("BEGIN, point select, COMMIT, 4 clients", "durable", "load", AUDITS[1:] + GUARD[1:] + DURABLE, clients=4,
             target="transaction ≥ 0.45"),
    Workload("BEGIN, point select, COMMIT, 16 clients", "durable", "load", AUDITS[1:] + GUARD[1:] + DURABLE, clients=16,
             target="transaction ≥ 0.60"),
    Workload("the same with fsync, 4 clients", "durable", "load", AUDITS[1:] + DURABLE, clients=4, fsync="on",
             target="transaction ≥ 0.45"),
    Workload("the same with fsync, 16 clients", "durable", "load", AUDITS[1:] + DURABLE, clients=16, fsync="on",
             target="transaction ≥ 0.60"),
    Workload("update, select, insert (pgbench -N), 1 client", "write", "load",
             RLS + ("pgaudit",) + GUARD + DURABLE[:1], target="≥ 0.85"),
]


def unguarded(plain, guard):
    """The library's cost for a table that it does not guard."""
    return Workload("point select on an unguarded table, 1 client", "unguarded", "load", GUARD).measure([plain, guard])


def cold(systems):
    """The first count(*) after a restart; the machine still has the files in memory."""
    work = Workload("first count(*) after a restart, serial", "count", "query", GUARD, options=SERIAL)
    found = {s.title: [] for s in systems}
    for _ in range(3):
        for system in systems:
            system.server.ctl("restart")
            found[system.title].append(work.once(system))
    return {title: statistics.median(values) for title, values in found.items()}


def statements_until_gone(system, withdraw):
    """When a customer disappears after a withdrawal was acknowledged: from a session with a prepared
    statement, and from an open REPEATABLE READ transaction."""
    results = []
    for begin in ("", "BEGIN ISOLATION LEVEL REPEATABLE READ; "):
        number = system.server.sql(
            system.database, f"SELECT n FROM generate_series({1000 + 100 * len(results)}, 2000) n "
                             "WHERE agreed(n, 0) LIMIT 1").strip()
        session = system.session()
        seen = session.ask(f"{begin}PREPARE q AS SELECT count(*) FROM customer WHERE id = $1; EXECUTE q({number})")
        if seen != "1":
            raise RuntimeError(seen)
        system.server.sql(system.database, withdraw.format(number))
        still = 0
        while still < 3 and session.ask(f"EXECUTE q({number})") == "1":
            still += 1
        results.append("next statement" if still == 0 else "not before it ends")
        session.close()
    return results


def private_kb(pid):
    """Without the server's shared memory, whose pages count as private while nobody else maps them."""
    total, shared = 0, False
    with open(f"/proc/{pid}/smaps", encoding="utf8") as file:
        for line in file:
            mapping = re.match(r"[0-9a-f]+-[0-9a-f]+ (....) ", line)
            if mapping:
                shared = mapping[1].endswith("s")
            elif line.startswith("Private_") and not shared:
                total += int(line.split()[1])
    return total


def memory(system):
    """Private memory of a backend, kB: after one trivial statement, and after some work."""
    session = system.session()
    pid = session.ask("SELECT pg_backend_pid()")
    idle = private_kb(pid)
    session.ask("PREPARE q AS SELECT name FROM customer WHERE id = $1")
    for n in range(1, 201):
        session.ask(f"EXECUTE q({n})")
    session.ask("SET max_parallel_workers_per_gather = 0; SELECT count(*) FROM customer")
    session.ask("SELECT count(*) FROM order_line")
    busy = private_kb(pid)
    session.close()
    return idle, busy


# ---- the audit log itself ---------------------------------------------------------------------------

def tree_size(system):
    """Everything that was said so far is sealed by then."""
    return int(system.server.sql(system.database, "SELECT sum(tree_size) FROM privacy_guard.audit_tree_head()"))


def processor_seconds(pid):
    with open(f"/proc/{pid}/stat", encoding="utf8") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def audit_log(system, out):
    """How fast its writer and its verification are. The writer by its processor time, merging
    included, because no load here keeps it busy."""
    progress("audit log")
    writer = int(system.server.sql(system.database, """
        SELECT pid FROM pg_stat_activity
         WHERE datname = current_database() AND backend_type LIKE 'privacy_guard audit writer%'"""))
    size, used = tree_size(system), processor_seconds(writer)
    system.pgbench("point", "-T", str(5 * ARGS.seconds), "-c", "4", "-j", "2")
    sealed = tree_size(system) - size
    used = processor_seconds(writer) - used
    begun = time.monotonic()
    if system.server.sql(system.database, "SELECT bool_and(ok) FROM privacy_guard.verify_audit_log()").strip() != "t":
        raise RuntimeError("verify_audit_log()")
    verified = tree_size(system) / (time.monotonic() - begun)
    out("| audit log | | to reach |\n|---|---|---|")
    out(f"| records sealed in a second of the writer's processor time | {sealed / used:,.0f} | ≥ 100,000 |")
    out(f"| leaves verified in a second | {verified:,.0f} | ≥ 500,000 |")


def long_log(server, out):
    """Who saw one subject, among the accesses of a year."""
    progress(f"a log of {ARGS.log:,} records")
    server.sql("postgres", "CREATE DATABASE year")
    server.sql("year", file="year.sql", generator=os.path.join(HERE, "audit_log.py"), records=ARGS.log,
               subjects=max(1, ARGS.log // 10))
    server.load("")
    server.sql("year", "ALTER TABLE privacy_guard.audit_segment ATTACH PARTITION year "
                       "FOR VALUES FROM ('2025-01-01') TO ('2026-01-02')")
    server.load("privacy_guard")
    tps = System("async", server, "year", durability="async").pgbench("accesses", "-t", "50")
    out(f"\n| accesses_to() of one subject, among {ARGS.log:,} records | {1000 / tps:.0f} ms |\n|---|---|")


# ---- growth ----------------------------------------------------------------------------------------

def growth_of_subjects(plain_server, guard_server, sizes):
    for size in sizes:
        progress(f"growth: {size} subjects")
        pair = []
        for title, server in (("plain", plain_server), ("guard", guard_server)):
            database = f"growth_{size}"
            server.sql("postgres", f"CREATE DATABASE {database}")
            server.sql(database, file="growth.sql", customers=size)
            if title == "guard":
                server.sql(database, file="growth_guard.sql", customers=size)
            pair.append(System("plain", server, database) if title == "plain" else
                        System("async", server, database, durability="async"))
        saved, ARGS.customers = ARGS.customers, size
        # Every subject is in the cache, as far as it fits.
        pair[1].pgbench("count", "-t", "1")
        found = Workload("", "point", "load", GUARD).measure(pair)
        ARGS.customers = saved
        yield f"{size:,} subjects", found["async"] / found["plain"], found["plain"], found["async"]
        for system in pair:
            system.server.sql("postgres", f"DROP DATABASE growth_{size}")


def growth_of_rules(plain, guard, sizes):
    done = 0
    for size in sizes:
        progress(f"growth: {size} more purposes, each with a rule and a grant")
        guard.server.sql(guard.database, f"""
            SET client_min_messages = warning;
            SELECT privacy_guard.create_purpose('p' || n, 'consent'), privacy_guard.permit('customer', 'p' || n),
                   privacy_guard.grant_purpose('p' || n, 'bench_app')
              FROM generate_series({done + 1}, {size}) n""")
        done = size
        found = Workload("", "point", "load", GUARD).measure([plain, guard])
        yield (f"{size:,} purposes and rules", found[guard.title] / found[plain.title],
               found[plain.title], found[guard.title])


# ---- the table -------------------------------------------------------------------------------------

def machine():
    model = "unknown processor"
    with open("/proc/cpuinfo", encoding="utf8") as file:
        for line in file:
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    version = run("postgres", "--version").split()
    return f"{os.cpu_count()} cores ({model}), {round(pages / 2**30)} GB, PostgreSQL {version[2]}"


def absolute(workload_kind, value):
    if workload_kind == "query":
        return f"{value * 1000:.0f} ms"
    return f"{value:,.0f}/s"


def row(title, kind, found, systems, target):
    base = found["plain"]
    cells = []
    for system in systems[1:]:
        value = found.get(system.title)
        if value is None:
            cells.append("–")
        else:
            cells.append(f"> {ARGS.limit / base:.0f}" if value == math.inf else f"{value / base:.2f}")
    return f"| {title} | {absolute(kind, base)} | " + " | ".join(cells) + f" | {target} |"


def prepare(root):
    base = Server(root, "base")
    audit = Server(root, "pgaudit", "pgaudit", "pgaudit.log = 'read,write'")
    guard = Server(root, "guard", "privacy_guard", f"privacy_guard.consent_cache_size = '{ARGS.cache}'")
    silent = Server(root, "silent", "privacy_guard")
    SERVERS.extend([base, audit, guard, silent])
    progress(f"making {ARGS.customers:,} customers")
    base.init()
    base.ctl("start")
    base.sql("postgres", "CREATE DATABASE plain")
    base.sql("plain", file="data.sql", customers=ARGS.customers)
    base.ctl("stop")
    audit.init(like=base)
    guard.init(like=base)
    guard.ctl("start")
    progress("privacy_guard")
    guard.sql("plain", file="privacy_guard.sql")
    guard.ctl("stop")
    silent.init(like=guard)
    for server in SERVERS:
        server.ctl("start")
    guard.sql("plain", file="protect.sql", audit_level="subject")
    silent.sql("plain", file="protect.sql", audit_level="none")
    progress("row-level security")
    base.sql("postgres", "CREATE DATABASE rls_exists TEMPLATE plain")
    base.sql("rls_exists", file="consent_table.sql")
    base.sql("postgres", "CREATE DATABASE rls_function TEMPLATE rls_exists")
    base.sql("rls_exists", file="rls_exists.sql")
    base.sql("rls_function", file="rls_function.sql")
    for server in SERVERS:
        server.sql("plain", "CHECKPOINT")
    return [System("plain", base, "plain", "set"), System("RLS, EXISTS", base, "rls_exists", "rls"),
            System("RLS, function", base, "rls_function", "rls"), System("pgaudit", audit, "plain", "set"),
            System("INSERT per read", base, "plain", "insert"),
            System("audit off", silent, "plain", "privacy_guard"),
            *(System(d, guard, "plain", "privacy_guard", d) for d in ("async", "transaction", "disclosure"))]


def speed(wanted, out):
    systems = prepare(ARGS.root)
    by_title = {s.title: s for s in systems}
    plain, guard = by_title["plain"], by_title["async"]
    out(f"{datetime.date.today()}, {machine()}; {ARGS.customers:,} customers, {ARGS.rounds} rounds; "
        f"load average {os.getloadavg()[0]:.1f} before the first.\n")
    for kind, unit in (("query", "time, as a multiple of plain's (less is better)"),
                       ("load", "transactions a second, as a share of plain's (more is better)")):
        out(f"| {unit} | plain | " + " | ".join(s.title for s in systems[1:]) + " | to reach |")
        out("|---" * (len(systems) + 2) + "|")
        for work in wanted:
            if work.kind == kind:
                progress(work.title)
                out(row(work.title, kind, work.measure(systems), systems, work.target))
        if kind == "load" and not ARGS.only:
            out(row("point select, unguarded table, 1 client", kind, unguarded(plain, guard), systems, "≥ 0.98"))
        out("")
    if not ARGS.only:
        audit_log(guard, out)
        one_backend(by_title, out)
        restart(plain, guard, out)
    if ARGS.log:
        long_log(guard.server, out)
    if ARGS.growth:
        grow(plain, guard, out)


def main(results):
    wanted = [w for w in WORKLOADS if not ARGS.only or re.search(ARGS.only, w.script)]
    if wanted:
        speed(wanted, results.part("table"))
    for size, name, measure in ((ARGS.erase, "erasure", erasure.measure), (ARGS.gdpr, "gdpr", gdpr.measure)):
        if size:
            out = results.part(name)
            out(f"{datetime.date.today()}, {machine()}; {ARGS.rounds} rounds; "
                f"load average {os.getloadavg()[0]:.1f} before the first.")
            measure(ARGS, SERVERS, out)


def one_backend(systems, out):
    change = "UPDATE consent SET status = 'withdrawn' WHERE customer_id = {} AND purpose = 'service'"
    out("\n| withdrawal to invisibility | READ COMMITTED, prepared | open REPEATABLE READ transaction |\n|---|---|---|")
    for title, withdraw in (("RLS, EXISTS", change), ("RLS, function", change),
                            ("async", "SELECT privacy_guard.withdraw_consent('{}', 'service')")):
        out(f"| {title} | " + " | ".join(statements_until_gone(systems[title], withdraw)) + " |")
    out("\n| private memory of a backend | idle | busy |\n|---|---|---|")
    for title in ("plain", "async"):
        out(f"| {title} | " + " | ".join(f"{kb / 1024:.1f} MB" for kb in memory(systems[title])) + " |")


def restart(plain, guard, out):
    """Last, because it empties the caches of the two servers."""
    progress("restart")
    out("\n| first count(*) after a restart, serial | |\n|---|---|")
    for title, value in cold([plain, guard]).items():
        out(f"| {title} | {absolute('query', value)} |")


def grow(plain, guard, out):
    out("\n| growth, point select, 1 client | share of plain | plain | async |\n|---|---|---|---|")
    subjects = [n for n in (10_000, 100_000, 1_000_000, 10_000_000) if n <= ARGS.growth]
    for title, ratio, a, b in [*growth_of_subjects(plain.server, guard.server, subjects),
                               *growth_of_rules(plain, guard, (1, 100, 10_000))]:
        out(f"| {title} | {ratio:.2f} | {a:,.0f}/s | {b:,.0f}/s |")


def arguments():
    parser = argparse.ArgumentParser(prog="bench/run", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--customers", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=1, help="of each round of a load")
    parser.add_argument("--patience", type=float, default=3, help="a query that takes more seconds is asked twice")
    parser.add_argument("--limit", type=int, default=20, help="and given up after so many")
    parser.add_argument("--cache", default="256MB", help="privacy_guard.consent_cache_size")
    parser.add_argument("--only", metavar="REGEX", help="of the workloads, those whose script in bench/load matches; '^$' for none")
    parser.add_argument("--log", type=int, nargs="?", const=10_000_000, default=0, metavar="RECORDS",
                        help="also who saw one subject, in an audit log of so many records")
    parser.add_argument("--erase", type=int, nargs="?", const=1_000_000, default=0, metavar="ROWS",
                        help="also the erasure of so many rows past their time")
    parser.add_argument("--erase-load", type=int, default=1000, metavar="TPS", help="point selects beside it")
    parser.add_argument("--gdpr", type=int, nargs="?", const=100_000, default=0, metavar="RECORDS",
                        help="also a run like GDPRbench's, with so many records")
    parser.add_argument("--operations", type=int, default=10_000, help="of each mix of it")
    parser.add_argument("--growth", type=int, nargs="?", const=1_000_000, default=0, metavar="SUBJECTS",
                        help="also with 10,000 up to this many subjects, and up to 10,000 purposes and rules")
    return parser.parse_args()


class Results:
    """Printed as they come; in the end RESULTS.md with the parts that were measured in place of the old ones."""

    def __init__(self):
        self.lines = {}

    def part(self, name):
        own = self.lines[name] = []

        def out(line):
            print(line, flush=True)
            own.append(line + "\n")
        return out

    def write(self, path):
        with open(os.path.join(HERE, "RESULTS.md"), encoding="utf8") as old:
            head, *parts = re.split(r"^<!-- (\w+) -->\n", old.read(), flags=re.MULTILINE)
        found = dict(zip(parts[::2], parts[1::2]))
        found.update((name, "".join(lines).strip() + "\n\n") for name, lines in self.lines.items())
        with open(path, "w", encoding="utf8") as new:
            new.write(head + "".join(f"<!-- {name} -->\n{text}" for name, text in found.items()).rstrip() + "\n")


if __name__ == "__main__":
    SERVERS = []
    ARGS = arguments()
    RESULTS = Results()
    try:
        main(RESULTS)
        RESULTS.write(os.path.join(ARGS.root, "RESULTS.md"))
    finally:
        for started in SERVERS:
            started.stop()
