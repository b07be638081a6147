"""psycopg 3: server-side prepared statements, named cursors, COPY, pipelines, transactions."""
import psycopg
from check import equal, guarded, permitted, refused, truth


def sqlstate(error):
    return getattr(error, "sqlstate", None)


def count(connection, table, **options):
    return connection.execute(f"SELECT count(*) FROM {table}", **options).fetchone()[0]


def connect(role, **options):
    return psycopg.connect(user=role, autocommit=True, **options)


tables = ["customers", "orders", "order_lines", "ticket_notes", "interactions", "referrals", "contacts"]

with connect("crm_app") as app:
    for table in tables:
        equal(f"crm_app counts {table}", count(app, table), permitted("all", table))

with connect("mailer") as mailer:
    for table in ("customers", "email_addresses", "referrals"):
        equal(f"mailer counts {table}", count(mailer, table), permitted("marketing.email", table))
    equal("a partition child of interactions read by its parent",
          count(mailer, "interactions"), permitted("marketing.email", "interactions"))
    refused("mailer has no rule for order_lines", sqlstate, lambda: count(mailer, "order_lines"))
    refused("mailer is not entitled to analytics", sqlstate,
            lambda: psycopg.connect(user="mailer", options="-c privacy_guard.purpose=analytics").execute("SELECT * FROM customers"))

    # One statement, prepared by the server, under two purposes in turn; custom plans first, then a generic one.
    seen = {"marketing.email": set(), "marketing.phone": set()}
    for mode in ["auto"] * 7 + ["force_generic_plan"] * 2:
        mailer.execute(f"SET plan_cache_mode = {mode}")
        for purpose, counts in seen.items():
            with mailer.transaction():
                mailer.execute(f"SET LOCAL privacy_guard.purpose = '{purpose}'")
                counts.add(mailer.execute("SELECT count(*) FROM customers WHERE region = %s", ["Bavaria"], prepare=True).fetchone()[0])
    for purpose, counts in seen.items():
        equal(f"prepared statement for {purpose}", counts, {permitted(purpose, "bavarians")})
    equal("it was prepared", mailer.execute("SELECT bool_or(generic_plans > 0) FROM pg_prepared_statements").fetchone()[0], True)

    with mailer.transaction():
        with mailer.cursor(name="addresses") as cursor:
            cursor.itersize = 100
            cursor.execute("SELECT address FROM email_addresses")
            equal("named cursor", sum(1 for _ in cursor), permitted("marketing.email", "email_addresses"))
    with mailer.cursor() as cursor, cursor.copy("COPY email_addresses TO STDOUT") as copy:
        equal("COPY TO", sum(1 for _ in copy.rows()), permitted("marketing.email", "email_addresses"))
    with mailer.pipeline():
        cursors = [mailer.execute("SELECT count(*) FROM customers") for _ in range(3)]
    equal("pipeline", {c.fetchone()[0] for c in cursors}, {permitted("marketing.email", "customers")})

    insert = """INSERT INTO interactions (customer_id, occurred_at, channel, direction, agent, subject)
                VALUES (%s, now(), 'email', 'outbound', 'mailer', 'Newsletter') RETURNING customer_id"""
    with mailer.transaction(force_rollback=True):
        equal("insert for who agreed", mailer.execute(insert, [truth["email_only"]]).fetchone()[0], truth["email_only"])
    refused("insert for who did not", sqlstate, lambda: mailer.execute(insert, [truth["neither"]]))

    def insert_many():
        with mailer.transaction(force_rollback=True), mailer.cursor() as cursor:
            cursor.executemany(insert.split("RETURNING")[0], [[truth["email_only"]], [truth["neither"]]])
    refused("executemany with one who did not", sqlstate, insert_many)

    update = "UPDATE email_addresses SET bounced_at = now() WHERE contact_id = %s"
    with mailer.transaction(force_rollback=True):
        equal("update of who did not agree finds nothing",
              mailer.execute(update, [truth["neither"]]).rowcount > 0, not guarded)
        equal("update of who agreed", mailer.execute(update, [truth["email_only"]]).rowcount > 0, True)
    refused("moving a row to who did not agree", sqlstate, lambda: mailer.execute(
        "UPDATE email_addresses SET customer_id = %s WHERE contact_id = %s", [truth["neither"], truth["email_only"]]))

if guarded:
    with connect("crm_app") as app, connect("mailer") as mailer:
        mailer.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        expected = permitted("marketing.email", "customers")
        subject = str(truth["email_only"])
        with mailer.transaction():
            before = count(mailer, "customers", prepare=True)
            app.execute("SELECT privacy_guard.withdraw_consent(%s, 'marketing.email')", [subject])
            after = count(mailer, "customers", prepare=True)
            app.execute("SELECT privacy_guard.record_consent(%s, 'marketing.email')", [subject])
            again = count(mailer, "customers", prepare=True)
        equal("a withdrawal reaches an open REPEATABLE READ transaction", (before, after, again), (expected, expected - 1, expected))

    with connect("crm_owner") as owner:
        refused("the owner without a purpose", sqlstate, lambda: count(owner, "customers"))
    with connect("etl") as etl:
        refused("a role with BYPASSRLS and no purpose", sqlstate, lambda: count(etl, "customers"))
    with connect("postgres") as superuser:
        refused("a superuser without a purpose", sqlstate, lambda: count(superuser, "customers"))

        def copy_out():
            with superuser.cursor() as cursor, cursor.copy("COPY customers TO STDOUT") as copy:
                return sum(1 for _ in copy)
        refused("COPY by a superuser", sqlstate, copy_out)

with connect("crm_app") as app:
    with app.transaction(force_rollback=True):
        with app.cursor() as cursor, cursor.copy(
                "COPY orders (customer_id, order_no, status, payment_method, total_amount) FROM STDIN") as copy:
            for i in range(3):
                copy.write_row([truth["neither"], f"O-copy-{i}", "new", "card", 10])
        equal("COPY FROM", app.execute("SELECT count(*) FROM orders WHERE order_no LIKE 'O-copy-%'").fetchone()[0], 3)
