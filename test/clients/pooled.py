"""pgbouncer in transaction mode with one server connection: a purpose stays with the transaction that named it."""
import os

import psycopg
from check import equal, permitted, refused


def connect():
    # Prepared statements of a session cannot work here, whatever the database: pgbouncer hands it on.
    return psycopg.connect(host=os.environ["POOL"], port=6432, user="mailer", autocommit=True, prepare_threshold=None)


def count(connection):
    return connection.execute("SELECT count(*) FROM customers").fetchone()[0]


default, other = permitted("marketing.email", "customers"), permitted("marketing.phone", "customers")
one, two = connect(), connect()
pids = {c.execute("SELECT pg_backend_pid()").fetchone()[0] for c in (one, two)}
equal("two clients share one server connection", len(pids), 1)

one.execute("SET privacy_guard.purpose = 'marketing.phone'")
equal("SET outside a transaction does not reach the other client", count(two), default)
equal("nor the next transaction of the same client", count(one), default)

with one.transaction():
    one.execute("SET LOCAL privacy_guard.purpose = 'marketing.phone'")
    equal("SET LOCAL holds in its transaction", count(one), other)
equal("SET LOCAL ends with it", count(two), default)

with one.transaction():
    one.execute("SET privacy_guard.purpose = 'marketing.phone'")
    equal("SET in a transaction holds there", count(one), other)
equal("SET in a transaction does not reach the other client", count(two), default)

with one.transaction():
    one.execute("SELECT set_config('privacy_guard.purpose', 'marketing.phone', false)")
    equal("set_config() in a transaction holds there", count(one), other)
equal("set_config() does not reach the other client", count(two), default)

with one.transaction(force_rollback=True):
    one.execute("SET privacy_guard.purpose = 'marketing.phone'")
equal("ROLLBACK does not leak either", count(two), default)


def forbidden():
    with one.transaction():
        one.execute("SET LOCAL privacy_guard.purpose = 'analytics'")
        return count(one)


refused("a purpose that the role is not entitled to", lambda error: getattr(error, "sqlstate", None), forbidden)
equal("an error leaves the connection usable for the other client", count(two), default)

for _ in range(7):
    for purpose, expected in (("marketing.phone", other), ("marketing.email", default)):
        with two.transaction():
            two.execute(f"SET LOCAL privacy_guard.purpose = '{purpose}'")
            two.execute("PREPARE q AS SELECT count(*) FROM customers") if not two.execute(
                "SELECT 1 FROM pg_prepared_statements WHERE name = 'q'").fetchone() else None
            actual = two.execute("EXECUTE q").fetchone()[0]
            if actual != expected:
                equal(f"shared prepared statement for {purpose}", actual, expected)
equal("a prepared statement that the clients share follows each purpose", actual, expected)
one.close()
two.close()
