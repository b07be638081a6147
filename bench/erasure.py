"""How fast rows past their time are erased, and what others notice of it: privacy_guard's eraser, and
the loop of DELETEs that people write, each beside the same load of point selects."""
import glob
import os
import statistics
import threading
import time

from server import HERE, Server, Session, progress, used_by

CUTOFF = "2026-01-01 UTC"


def p99(values):
    return sorted(values)[int(0.99 * (len(values) - 1))]


class Watch(threading.Thread):
    """The processor time of the eraser that begins next, until it ends."""

    def __init__(self, server):
        super().__init__(daemon=True)
        self.session, self.seconds = Session(server, "erasure", "postgres"), 0
        self.start()

    def run(self):
        pid = ""
        while not pid:
            pid = self.session.ask("""
                SELECT pid FROM pg_stat_activity
                 WHERE datname = current_database() AND backend_type LIKE 'privacy_guard eraser%'""")
            time.sleep(0.01)
        self.session.close()
        while (used := used_by(pid)) is not None:
            self.seconds = used
            time.sleep(0.005)


class Contender:
    """A server with as many rows that stay as are erased in each round."""

    def __init__(self, args, title, server):
        self.args, self.title, self.server = args, title, server
        self.rates, self.processor, self.before, self.meanwhile = [], [], [], []
        server.init()
        server.ctl("start")
        server.sql("postgres", "CREATE ROLE bench_app LOGIN")
        server.sql("postgres", "CREATE DATABASE erasure")
        server.sql("erasure", file="erasure.sql", rows=args.erase)

    def fill(self):
        """Once more all rows that are to go, with nothing left of the last round."""
        session = Session(self.server, "erasure")
        session.ask(f"CALL fill({self.args.erase})")
        session.close()
        for command in ("VACUUM (ANALYZE) event", "CHECKPOINT"):
            self.server.sql("erasure", command)

    def latencies(self):
        """Of one second of point selects on rows that stay, in ms. The log has a line for each."""
        prefix = os.path.join(self.args.root, "latency")
        self.server.pgbench("erasure", "-T", "1", "-R", str(self.args.erase_load), "-D", f"rows={self.args.erase}",
                            "-f", os.path.join(HERE, "load", "event.sql"), "-l", f"--log-prefix={prefix}")
        found = []
        for name in glob.glob(prefix + ".*"):
            with open(name, encoding="utf8") as log:
                found += [int(line.split()[2]) / 1000 for line in log]
            os.remove(name)
        return found

    def round(self):
        self.fill()
        self.latencies()
        before = [ms for _ in range(3) for ms in self.latencies()]
        self.start()
        meanwhile, slices = [], 0
        while not self.finished():
            meanwhile += self.latencies()
            slices += 1
        if slices > 1:  # in the last one it ended
            meanwhile = meanwhile[:-self.args.erase_load]
        self.processor.append(self.processor_seconds() / self.args.erase * 1e6)
        self.rates.append(self.args.erase / self.seconds())
        self.before.append(p99(before))
        self.meanwhile.append(p99(meanwhile))


class ByHand(Contender):
    """A procedure that deletes and commits, batch by batch."""

    def start(self):
        self.session = Session(self.server, "erasure", "postgres")
        self.pid = self.session.ask("SELECT pg_backend_pid()")
        self.session.process.stdin.write(f"CALL erase_by_hand('{CUTOFF}', 1000);\n")
        self.session.process.stdin.flush()

    def finished(self):
        return self.server.sql("erasure", "SELECT count(*) FROM erasure_time WHERE ended IS NOT NULL").strip() == "1"

    def processor_seconds(self):
        return used_by(self.pid)

    def seconds(self):
        self.session.close()
        return float(self.server.sql(
            "erasure", "DELETE FROM erasure_time RETURNING extract(epoch FROM ended - began)"))


class Eraser(Contender):
    """The worker, woken by retain()."""

    def __init__(self, args, title, server):
        super().__init__(args, title, server)
        server.sql("erasure", file="erasure_guard.sql")
        server.change("privacy_guard.audit_durability", "async")

    def fill(self):
        self.server.change("privacy_guard.erase_interval", "0")
        self.server.sql("erasure", "CALL forget_duration()")
        super().fill()

    def start(self):
        self.server.sql("erasure", "SELECT set_duration()")
        self.watch = Watch(self.server)
        self.server.change("privacy_guard.erase_interval", "1s")

    def of_this_round(self, what):
        return self.server.sql("erasure", f"""
            SELECT {what} FROM privacy_guard.retention_run
             WHERE started_at >= (SELECT began FROM erasure_time)""").strip()

    def rows_so_far(self):
        return int(self.of_this_round("coalesce(sum(rows), 0)"))

    def finished(self):
        return self.of_this_round("count(*) FILTER (WHERE finished_at IS NULL)") == "0" and \
            self.rows_so_far() >= self.args.erase

    def processor_seconds(self):
        self.watch.join()
        return self.watch.seconds

    def seconds(self):
        return float(self.of_this_round("extract(epoch FROM max(finished_at) - min(started_at))"))


def kept_rate(eraser):
    """The share of its limit that the eraser keeps to, when the limit is such that it has ten seconds' work."""
    wanted = max(1, eraser.args.erase // 10)
    progress(f"erasure: at most {wanted:,} rows a second")
    eraser.fill()
    eraser.server.change("privacy_guard.erase_rate", str(wanted))
    eraser.start()
    time.sleep(2)
    first, begun = eraser.rows_so_far(), time.monotonic()
    time.sleep(5)
    return (eraser.rows_so_far() - first) / (time.monotonic() - begun) / wanted


def measure(args, servers, out):
    by_hand = ByHand(args, "DELETE by hand, plain table", Server(args.root, "erasure_plain"))
    servers.append(by_hand.server)
    eraser = Eraser(args, "privacy_guard", Server(args.root, "erasure_guard", "privacy_guard"))
    servers.append(eraser.server)
    for n in range(args.rounds):
        for contender in (by_hand, eraser):
            progress(f"erasure of {args.erase:,} rows, round {n + 1}: {contender.title}")
            contender.round()
    out(f"\n| erasure of {args.erase:,} rows by 1,000, beside {args.erase_load:,} point selects a second | rows a second "
        "| share | µs of its processor time a row | p99 before | p99 meanwhile | ratio | to reach |\n"
        "|---|---|---|---|---|---|---|---|")
    base = statistics.median(by_hand.rates)
    for contender in (by_hand, eraser):
        rate, used, before, after = (statistics.median(v) for v in (
            contender.rates, contender.processor, contender.before, contender.meanwhile))
        out(f"| {contender.title} | {rate:,.0f} | {rate / base:.2f} | {used:.2f} | {before:.3f} ms | {after:.3f} ms "
            f"| {after / before:.2f} | {'share ≥ 0.8, ratio ≤ 1.1' if contender is eraser else ''} |")
    out(f"\n| erase_rate, a tenth of the rows each second | {kept_rate(eraser):.2f} of it | 0.9 to 1.1 |\n|---|---|---|")
