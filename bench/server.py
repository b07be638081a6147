"""Private servers for the benchmark, and what is asked of them through psql and pgbench."""
import os
import re
import shutil
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))

SETTINGS = """
listen_addresses = ''
shared_buffers = 1GB
max_wal_size = 8GB
checkpoint_timeout = 1h
autovacuum = off
jit = off
max_connections = 40
max_parallel_workers = 2
"""


class Server:
    def __init__(self, root, name, libraries="", settings=""):
        self.data = os.path.join(root, name)
        self.libraries, self.settings = libraries, settings
        self.changed = {}

    def init(self, like=None):
        if like is None:
            run("initdb", "-D", self.data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "-N")
            base = SETTINGS
        else:
            shutil.copytree(like.data, self.data)
            base = ""
        with open(os.path.join(self.data, "postgresql.conf"), "a", encoding="utf8") as conf:
            conf.write(f"{base}\nunix_socket_directories = '{self.data}'\n"
                       f"shared_preload_libraries = '{self.libraries}'\n{self.settings}\n")

    def ctl(self, *action):
        run("pg_ctl", "-D", self.data, "-l", self.data + ".log", "-w", "-m", "fast", *action)

    def load(self, libraries):
        """From a restart on."""
        with open(os.path.join(self.data, "postgresql.conf"), "a", encoding="utf8") as conf:
            conf.write(f"shared_preload_libraries = '{libraries}'\n")
        self.ctl("restart")

    def stop(self):
        if os.path.exists(os.path.join(self.data, "postmaster.pid")):
            self.ctl("stop")

    def sql(self, database, command=None, file=None, **variables):
        args = ["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-h", self.data, "-U", "postgres", "-d", database]
        for name, value in variables.items():
            args += ["-v", f"{name}={value}"]
        args += ["-f", os.path.join(HERE, "sql", file)] if file else ["-c", command]
        return run(*args)

    def pgbench(self, database, *args, user="bench_app", options=""):
        """What pgbench says. TimeoutError when a statement took too long."""
        out = run("pgbench", "-n", "-M", "prepared", "-h", self.data, "-U", user, *args, database,
                  env={"PGOPTIONS": options}, may_fail=True)
        if "statement timeout" in out:
            raise TimeoutError
        if "tps = " not in out or re.search(r"failed transactions: [1-9]|aborted", out):
            raise RuntimeError(out)
        return out

    def processor_seconds(self):
        """Of the server so far: its processes that are there, and those that have ended."""
        with open(os.path.join(self.data, "postmaster.pid"), encoding="utf8") as file:
            postmaster = int(file.readline())
        ticks = sum(ticks_of(postmaster)[1])
        for name in os.listdir("/proc"):
            parent, used = ticks_of(name) if name.isdigit() else (None, ())
            if parent == postmaster:
                ticks += sum(used[:2])
        return ticks / os.sysconf("SC_CLK_TCK")

    def change(self, setting, value):
        """Of the whole server; returns when new sessions have it."""
        if self.changed.get(setting) == value:
            return
        self.sql("postgres", f"ALTER SYSTEM SET {setting} = '{value}'")
        self.sql("postgres", "SELECT pg_reload_conf()")
        while self.sql("postgres", f"SHOW {setting}").strip() != value:
            time.sleep(0.02)
        self.changed[setting] = value


class Session:
    """An open connection through psql."""

    def __init__(self, server, database, user="bench_app"):
        self.process = subprocess.Popen(
            ["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-h", server.data, "-U", user, "-d", database],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, bufsize=1)

    def ask(self, sql):
        self.process.stdin.write(sql + ";\n\\echo <end>\n")
        self.process.stdin.flush()
        lines = []
        for line in iter(self.process.stdout.readline, ""):
            if line.strip() == "<end>":
                return "\n".join(lines)
            lines.append(line.strip())
        raise RuntimeError("\n".join(lines))

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def ticks_of(pid):
    """The process's parent, and what it has used: user, system, and the same of children that have ended."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf8") as file:
            fields = file.read().rsplit(")", 1)[1].split()
    except (FileNotFoundError, ProcessLookupError):
        return None, ()
    return int(fields[1]), [int(n) for n in fields[11:15]]


def used_by(pid):
    """Processor time of a process, in seconds; None when it has ended."""
    try:
        with open(f"/proc/{pid}/schedstat", encoding="utf8") as file:
            return int(file.read().split()[0]) / 1e9
    except (FileNotFoundError, ProcessLookupError, IndexError):
        return None


def run(*args, env=None, may_fail=False):
    done = subprocess.run(args, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
                          env={**os.environ, **(env or {})})
    if done.returncode != 0 and not may_fail:
        sys.exit(f"{' '.join(args)}\n{done.stdout}")
    return done.stdout


def progress(text):
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)
