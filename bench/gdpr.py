"""A run like that of GDPRbench (Shastri et al., PVLDB 13(7), 2020), written anew for pgbench: its records, its
four mixes of operations, and what it asks of them: how long they take beside plain PostgreSQL with the same
indexes, whether a row was ever returned that should not be, and how much space all of it takes."""
import os
import re
import statistics
import threading
import time

from server import HERE, Server, Session, progress

# Operations and their weights; whether keys, users and purposes are drawn from a Zipf distribution (s = 1.01,
# scattered over all) or uniformly; and for the regulator a tenth of the operations.
MIXES = {
    "controller": (False, {"update_purpose": 25, "update_user": 25, "delete_key": 25, "insert": 25}),
    "customer": (True, {"read_key": 20, "read_purpose": 10, "read_user": 10, "update_key": 20, "update_purpose": 10,
                        "update_user": 10, "delete_key": 20}),
    "processor": (False, {"read_key": 20, "read_purpose": 40, "read_user": 40}),
    "regulator": (True, {"read_user": 50, "read_log": 50}),
}
CLIENTS = 2
ERASE_INTERVAL = 10

# What nobody may be shown: rows past their time, and the users who did not consent to what the processor does,
# or object to what the controller does.
FORBIDDEN = {"controller": "usr % 20 = 7", "customer": "false", "processor": "usr % 10 = 3", "regulator": "false"}

# Tables, by what they are for.
RECORD = "c.oid = 'record'::regclass"
OURS = "c.relnamespace::regnamespace::text IN ('privacy_guard', 'privacy_guard_internal')"


class Contender:
    def __init__(self, args, title, server):
        self.args, self.title, self.server = args, title, server
        self.seconds = {mix: [] for mix in MIXES}
        self.processor = {mix: [] for mix in MIXES}
        self.space = []
        server.init()
        server.ctl("start")
        for mix in MIXES:
            server.sql("postgres", f"CREATE ROLE {mix} LOGIN")

    def begin(self, number):
        self.number, self.database = number, f"gdpr_{number}"
        self.server.sql("postgres", f"CREATE DATABASE {self.database}")
        self.server.sql(self.database, file="gdpr.sql")

    def load(self):
        session = Session(self.server, self.database, "controller")
        session.ask(f"CALL fill({self.args.gdpr})")
        self.ends = time.monotonic() + 30
        session.close()

    def end(self):
        self.server.sql("postgres", f"DROP DATABASE {self.database}")

    def script(self, operation):
        for name in (f"gdpr_{operation}_{self.suffix}.sql", f"gdpr_{operation}.sql"):
            path = os.path.join(HERE, "load", name)
            if os.path.exists(path):
                return path
        raise FileNotFoundError(operation)

    def run(self, mix):
        """The same operations for both. Every one must succeed; what two clients want at once they try again."""
        zipf, operations = MIXES[mix]
        count = max(1, self.args.operations // (10 if mix == "regulator" else 1) // CLIENTS)
        args = ["-t", str(count), "-c", str(CLIENTS), "-j", str(CLIENTS), "--max-tries=100",
                f"--random-seed={self.number}",
                "-D", f"records={self.args.gdpr}", "-D", f"users={max(20, self.args.gdpr // 10)}", "-D", f"zipf={int(zipf)}",
                "-D", "i=0"]
        for operation, weight in operations.items():
            args += ["-f", f"{self.script(operation)}@{weight}"]
        begun, used = time.monotonic(), self.server.processor_seconds()
        out = self.server.pgbench(self.database, *args, user=mix)
        self.seconds[mix].append(time.monotonic() - begun)
        self.processor[mix].append(self.server.processor_seconds() - used)
        done = re.search(r"transactions actually processed: (\d+)/(\d+)", out)
        if done[1] != done[2]:
            raise RuntimeError(out)

    def watched_run(self, mix):
        """Meanwhile somebody looks again and again."""
        stop = threading.Event()

        def watch():
            while not stop.wait(1):
                self.look(mix)
        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            self.run(mix)
        finally:
            stop.set()
            watcher.join()
        self.look(mix)

    def look(self, mix):
        """One scan for what must not be returned; how many there are. What has ended before the statement began
        has ended."""
        session = Session(self.server, self.database, mix)
        found = int(session.ask(
            f"SELECT count(*) FROM record WHERE ends_at < statement_timestamp() OR {FORBIDDEN[mix]}"))
        session.close()
        return found

    def bytes(self, condition):
        return int(self.server.sql(self.database, f"""
            SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0) FROM pg_class c
             WHERE c.relkind IN ('r', 'm') AND {condition}"""))


class Plain(Contender):
    suffix = "plain"

    def wait(self):
        time.sleep(max(0, self.ends - time.monotonic()))
        self.server.sql(self.database, "DELETE FROM record WHERE ends_at <= now()")

    def prepare_log(self, records):
        """For the regulator: as many records as the other one's audit log has."""
        self.server.sql(self.database, f"CALL fill_log({records})")


class Guard(Contender):
    suffix = "privacy_guard"

    def __init__(self, args, title, server):
        super().__init__(args, title, server)
        server.change("privacy_guard.audit_durability", "async")
        server.change("privacy_guard.erase_interval", f"{ERASE_INTERVAL}s")
        self.gone, self.wrong, self.looks, self.notes = [], 0, 0, []

    def begin(self, number):
        super().begin(number)
        self.server.sql(self.database, file="gdpr_guard.sql", users=max(20, self.args.gdpr // 10))

    def load(self):
        super().load()
        self.server.sql(self.database, "SELECT object_all()")

    def wait(self):
        """Until the records with the shortest time to live are gone: from sight at their second, from the
        table a little later."""
        session = Session(self.server, self.database, "postgres")
        session.ask("SELECT privacy_guard.break_glass('benchmark', '10 minutes')")
        left = "SELECT count(*) FROM record WHERE ends_at <= now()"
        time.sleep(max(0, float(session.ask(
            "SELECT coalesce(extract(epoch FROM max(ends_at) - clock_timestamp()), 0) FROM record WHERE ttl = 30"))))
        ended = time.monotonic()
        self.look("customer")
        while session.ask(left) != "0":
            time.sleep(0.1)
            if time.monotonic() - ended > 10 * ERASE_INTERVAL:
                raise RuntimeError(f"{session.ask(left)} expired records are still there")
        self.gone.append(time.monotonic() - ended)
        session.close()

    def look(self, mix):
        self.wrong += super().look(mix)
        self.looks += 1

    def log_records(self):
        return int(self.server.sql(self.database, "SELECT sum(tree_size) FROM privacy_guard.audit_tree_head()"))


def one_round(plain, guard, number):
    for contender in (plain, guard):
        progress(f"gdpr, round {number}: {contender.args.gdpr:,} records, {contender.title}")
        contender.begin(number)
        contender.load()
    for contender in (plain, guard):
        contender.wait()
        contender.server.sql(contender.database, "VACUUM (ANALYZE) record")
    for mix in MIXES:
        progress(f"gdpr, round {number}: {mix}")
        if mix == "regulator":
            plain.prepare_log(guard.log_records())
        for contender in (plain, guard) if number % 2 else (guard, plain):
            contender.watched_run(mix)
    data = plain.bytes(RECORD)
    guard.space.append((guard.bytes(RECORD) / data, guard.bytes(OURS) / data))
    for contender in (plain, guard):
        contender.end()


def measure(args, servers, out):
    plain = Plain(args, "plain", Server(args.root, "gdpr_plain"))
    servers.append(plain.server)
    guard = Guard(args, "privacy_guard", Server(args.root, "gdpr_guard", "privacy_guard"))
    servers.append(guard.server)
    for number in range(1, args.rounds + 1):
        one_round(plain, guard, number)
    out(f"\n| GDPRbench's mixes: {args.gdpr:,} records, {args.operations:,} operations, {CLIENTS} clients | plain "
        "| privacy_guard | ratio | of the servers' processor time | to reach |\n|---|---|---|---|---|---|")
    for mix in MIXES:
        base, own = (statistics.median(c.seconds[mix]) for c in (plain, guard))
        used, own_used = (statistics.median(c.processor[mix]) for c in (plain, guard))
        out(f"| {mix} | {base:.1f} s | {own:.1f} s | {own / base:.2f} | {own_used / max(used, 0.01):.2f} | ≤ 1.2 |")
    out("\nBoth do the same operations, and on both somebody looks once a second for rows that must not be returned. On "
        "plain nothing keeps them back: it updates the rows of one user in twenty more for the controller, who objected, "
        "and returns those of one in ten more to the processor, who did not consent.")
    table, own = (statistics.median(v) for v in zip(*guard.space))
    out("\n| GDPRbench, what else it asks | | to reach |\n|---|---|---|")
    out(f"| rows returned of expired records, or against the user's decision, in {guard.looks} full scans | {guard.wrong} | 0 |")
    out(f"| the records with a time to live of 30 s: gone from the table, at most so long after it | {max(guard.gone):.1f} s "
        f"| {ERASE_INTERVAL} s |")
    out(f"| space of the table of records with its indexes, as a multiple of plain's | {table:.2f} | |")
    out(f"| space of consents, the audit log and the rest, as a multiple of plain's table of records | {own:.2f} | |")
