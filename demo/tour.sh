#!/usr/bin/env bash
# A walk through the guarded CRM. Every answer is the server's, at this moment. A statement that should
# be refused and is not (or the other way round) is marked, and the tour ends with an error.
#
# Expects PGHOST and PGDATABASE to lead to the database that demo/run made.
set -euo pipefail
export PGOPTIONS='-c client_min_messages=warning' PGTZ=UTC PAGER=cat
wrong=0

bold='' plain=''
[ ! -t 1 ] || { bold=$(printf '\033[1m') plain=$(printf '\033[0m'); }

heading()
{
	printf '\n%s== %s%s\n' "$bold" "$1" "$plain"
}

say()
{
	printf '%s\n' "$@" | fold -s -w 100
}

# as ROLE SQL...: the statements, one connection, and what the server answers.
as()
{
	local role=$1 statement arguments=()
	shift
	echo
	for statement; do
		printf '  %s%s=>%s %s\n' "$bold" "$role" "$plain" "$statement"
		arguments+=(-c "$statement")
	done
	psql -X -U "$role" -v ON_ERROR_STOP=1 -v SHOW_CONTEXT=never -P footer=off -P null=- "${arguments[@]}" 2>&1 |
		sed -E '/^(BEGIN|COMMIT|ROLLBACK|SET|Expanded display is on\.|)$/d; s/^/    /' | awk 'NR < 16; NR == 16 { print "    ..." }'
}

allowed()
{
	as "$@" || { echo "    ^^^ this should have worked"; wrong=$((wrong + 1)); }
}

refused()
{
	if as "$@"; then
		echo "    ^^^ this should have been refused"
		wrong=$((wrong + 1))
	fi
}

# one ROLE SQL: a single value, or "refused".
one()
{
	psql -XqAt -U "$1" -v ON_ERROR_STOP=1 -c "$2" 2>/dev/null || echo refused
}

# until_true ROLE SQL: waits for at most ten seconds.
until_true()
{
	for _ in {1..50}; do
		[ "$(one "$1" "$2")" != t ] || return 0
		sleep 0.2
	done
	echo "    ^^^ this did not happen in time: $2"
	wrong=$((wrong + 1))
}

# A second session that stays open: its psql reads from one pipe and writes to another.
open_session()
{
	other_role=$1
	coproc other { psql -XqAt -U "$1" 2>&1; }
}

in_session()
{
	local line
	printf '\n  %s%s (session 1)=>%s %s\n' "$bold" "$other_role" "$plain" "$1"
	printf '%s\n\\echo :end:\n' "$1" >&"${other[1]}"
	while IFS= read -r line <&"${other[0]}" && [ "$line" != :end: ]; do
		printf '    %s\n' "$line"
		answer=$line
	done
}

close_session()
{
	# shellcheck disable=SC2154
	local pid=$other_PID
	printf '\\q\n' >&"${other[1]}"
	wait "$pid" 2>/dev/null || true
}

# The copy of the cluster that is tampered with; its server ends with the tour at the latest.
copy=$PGHOST/copy

make_copy()
{
	pg_basebackup -U postgres -D "$copy" -c fast -X fetch
	trap stop_copy EXIT
}

# start_copy LIBRARY: it must not add to the checkpoints of the original.
start_copy()
{
	pg_ctl -D "$copy" -l "$copy/log" -w start > /dev/null -o "-k $copy -c shared_buffers=64MB \
		-c shared_preload_libraries='$1' -c privacy_guard.checkpoint_file='' -c privacy_guard.checkpoint_interval=0"
}

stop_copy()
{
	[ ! -e "$copy/postmaster.pid" ] || pg_ctl -D "$copy" -m fast -w stop > /dev/null
}

# without_library SQL: as somebody would who has the machine.
without_library()
{
	start_copy ''
	PGHOST=$copy allowed postgres "$1"
	stop_copy
}

# verification EXPECTED FUNCTION: what it finds first.
verification()
{
	local call=${2//:checkpoint/"'$checkpoint'"} found
	call=${call//:public_key/"'$public_key'"}
	printf '\n  %sauditor%s=> SELECT ok, first_bad_leaf, finding FROM %s LIMIT 1;\n' "$bold" "$plain" "$2"
	psql -X -U auditor -P footer=off -P null=- -c "SELECT ok, first_bad_leaf, finding FROM $call LIMIT 1" | sed '/^$/d; s/^/    /'
	found=$(one auditor "SELECT bool_and(ok) FROM $call")
	[ "$found" = "$1" ] || { echo "    ^^^ this should have been $1"; wrong=$((wrong + 1)); }
}

some_row='SELECT id, first_name, last_name, region FROM customers ORDER BY id LIMIT 3;'

heading '1. One question, seven logins'
say 'How many rows does each login see with plain SELECT count(*)? None of them changed its SQL; the purpose is a setting of the role.'
printf '\n  %-10s %-22s %-16s %10s %10s %10s %12s\n' login 'is' purpose customers e-mails orders order_lines
while IFS='|' read -r role is; do
	printf '  %-10s %-22s %-16s' "$role" "$is" "$(one "$role" "SELECT coalesce(nullif(current_setting('privacy_guard.purpose', true), ''), '-')")"
	printf ' %10s %10s %10s %12s\n' "$(one "$role" 'SELECT count(*) FROM customers')" "$(one "$role" 'SELECT count(*) FROM email_addresses')" \
		"$(one "$role" 'SELECT count(*) FROM orders')" "$(one "$role" 'SELECT count(*) FROM order_lines')"
done <<'ROLES'
crm_app|the CRM
mailer|the newsletter
analyst|statistics
crm_owner|owner of the tables
etl|has BYPASSRLS
dpo|keeps the rules
postgres|superuser
ROLES
allowed crm_app "$some_row"
allowed mailer "$some_row"
allowed analyst "$some_row"
refused crm_owner "$some_row"
refused postgres "$some_row"

heading '2. Another purpose for one transaction'
say 'SET LOCAL is all it takes, for purposes that the role is entitled to. The mailer also telephones:'
allowed mailer 'BEGIN;' "SET LOCAL privacy_guard.purpose = 'marketing.phone';" 'SELECT count(*) AS may_be_called FROM customers;' 'COMMIT;' \
	'SELECT count(*) AS may_be_mailed FROM customers;'

heading '3. A withdrawal reaches an open transaction'
say 'Session 1 is the mailer, in REPEATABLE READ: stock PostgreSQL would show it the same rows to the end. Session 2 is the CRM, where a customer unsubscribes.'
subject=$(psql -XqAt -U mailer -c 'SELECT min(id) FROM customers')
open_session mailer
in_session 'BEGIN ISOLATION LEVEL REPEATABLE READ;'
in_session 'SELECT count(*) FROM customers;'
before=$answer
allowed crm_app "SELECT privacy_guard.withdraw_consent('$subject', 'marketing.email') IS NOT NULL AS recorded;"
in_session 'SELECT count(*) FROM customers;'
[ "$answer" = $((before - 1)) ] || { echo '    ^^^ this should be one fewer'; wrong=$((wrong + 1)); }
in_session "SELECT count(*) FROM email_addresses WHERE customer_id = $subject;"
in_session 'COMMIT;'
close_session

heading '4. Why?'
say "The officer asks why that customer is hidden, without seeing the data:"
allowed dpo "SELECT check_name, outcome, reason FROM privacy_guard.explain_access('crm.customers', '$subject', 'marketing.email');"
allowed dpo "SELECT privacy_guard.consent_of('$subject');"

heading '5. Refusals say what to do'
say 'A purpose that nobody made:'
refused crm_app 'BEGIN;' "SET LOCAL privacy_guard.purpose = 'curiosity';" 'SELECT * FROM customers;'
say '' 'A purpose that the role is not entitled to:'
refused mailer 'BEGIN;' "SET LOCAL privacy_guard.purpose = 'customer_care';" 'SELECT * FROM customers;'
say '' 'A table that the purpose does not need:'
refused mailer 'SELECT * FROM tickets;'
say '' 'A newsletter for somebody who did not agree:'
refused mailer "INSERT INTO interactions (customer_id, occurred_at, channel, direction, agent, subject)
             VALUES ($subject, now(), 'email', 'outbound', 'mailer', 'Newsletter');"
say '' 'The superuser copies the table out, past every query hook:'
refused postgres 'COPY customers TO STDOUT;'
say '' 'The owner switches row security off:'
refused crm_owner 'ALTER TABLE customers DISABLE ROW LEVEL SECURITY;'
say '' 'The superuser clears the flag in the catalog:'
refused postgres "UPDATE pg_class SET relrowsecurity = false WHERE oid = 'crm.customers'::regclass;"
say '' 'The analyst takes a copy home:'
refused analyst 'CREATE TABLE crm.copy AS SELECT * FROM customers;'

heading '6. An objection'
say 'Finding fraud needs no consent, but one may object to it (GDPR Art. 21).'
fraud=('BEGIN;' "SET LOCAL privacy_guard.purpose = 'fraud_prevention';" 'SELECT count(*) FROM accounts;' 'COMMIT;')
allowed analyst "${fraud[@]}"
account_holder=$(psql -XqAt -U crm_app -c 'SELECT min(customer_id) FROM accounts')
allowed dpo "SELECT privacy_guard.object_to('$account_holder', 'fraud_prevention');"
allowed analyst "${fraud[@]}"

heading '7. What is not guarded, and looks as if it should be'
allowed dpo 'SELECT * FROM privacy_guard.coverage();'

heading '8. Breaking the glass'
say 'The engineer on call must repair something. For a short, announced time everything is visible, and on record with the reason.'
refused oncall 'SELECT count(*) FROM customers;'
allowed oncall "SELECT privacy_guard.break_glass('ticket 4711: duplicate customer numbers after the merger', '5 minutes');" \
	'SELECT count(*) FROM customers;' 'SELECT privacy_guard.end_break_glass();'

heading '9. Who has seen this person?'
person=$(psql -XqAt -U analyst -c 'SELECT max(id) FROM customers')
began=$(psql -XqAt -U auditor -c 'SELECT clock_timestamp()')
say 'Each access is on record, with whose rows it used. The analyst looks somebody up, and takes it back:'
allowed analyst 'BEGIN;' "SELECT first_name, last_name, date_of_birth FROM customers WHERE id = $person;" 'ROLLBACK;'
say '' 'The auditor asks. A ROLLBACK takes nothing off the record:'
allowed auditor "SELECT role, purpose, columns, rows, outcome FROM privacy_guard.accesses_to('$person', since => '$began');"
say '' 'And whose data did the engineer on call see? Subjects are numbers; the log holds no key of a customer:'
allowed auditor "SELECT operation, relation, exempt, statement, privacy_guard.cardinality(subjects) AS people
             FROM privacy_guard.accesses_by('oncall');"
say '' 'What was the superuser refused during this tour?'
allowed auditor "SELECT recorded_at, relation, reason, count, statement FROM privacy_guard.denials(actor => 'postgres');"

heading '10. Who may read the log, and who may change it'
printf '\n  %-10s %12s\n' login 'reads it'
for role in auditor dpo crm_app crm_owner etl oncall postgres; do
	answer=$(one "$role" 'SELECT count(*) > 0 FROM privacy_guard.audit_log')
	[ "$answer" != t ] || answer=yes
	printf '  %-10s %12s\n' "$role" "$answer"
	[ "$answer" = "$([ "$role" = auditor ] && echo yes || echo refused)" ] || wrong=$((wrong + 1))
done
refused postgres 'SELECT * FROM privacy_guard.audit_segment;'
refused postgres 'DELETE FROM privacy_guard.audit_segment;'
refused postgres 'TRUNCATE privacy_guard.audit_segment;'
say '' 'That somebody tried, and that the auditor read, is on record in turn:'
allowed auditor "SELECT kind, session_role, relation, reason, object FROM privacy_guard.audit_records(kinds => '{tamper,read}', since => '$began');"

heading '11. Tampering from outside is found'
say 'The records are leaves of a Merkle tree. Its root, signed, is a checkpoint, and holds for all records so far. demo/run made the key, with "openssl genpkey -algorithm ed25519". The auditor keeps this one elsewhere:'
leaf=$(psql -XqAt -U auditor -c "SELECT max(leaf_index) FROM privacy_guard.accesses_to('$person', since => '$began')")
allowed auditor 'SELECT privacy_guard.audit_checkpoint();'
checkpoint=$(psql -XqAt -U auditor -c 'SELECT privacy_guard.audit_checkpoint()')
public_key=$(psql -XqAt -U auditor -c 'SELECT public_key FROM privacy_guard.checkpoint_public_key()')

say '' 'Somebody who has the machine stops the server, starts it without the library, and lays what the analyst did at the door of the CRM. (We do it in a copy of the cluster.)'
make_copy
without_library "UPDATE privacy_guard.audit_segment
             SET records = decode(replace(encode(records, 'hex'), encode('analyst', 'hex'), encode('crm_app', 'hex')), 'hex')
           WHERE $leaf BETWEEN first_leaf AND first_leaf + leaves - 1;"
say '' 'With the library again, verification names the first record that does not fit:'
start_copy privacy_guard
PGHOST=$copy verification f 'privacy_guard.verify_audit_log()'
stop_copy

say '' 'Or he removes the last records whole, and the stored checkpoints. What is left fits together, but not with the checkpoint that the auditor kept:'
without_library "WITH forgotten AS (DELETE FROM privacy_guard.audit_checkpoint)
           DELETE FROM privacy_guard.audit_segment WHERE first_leaf + leaves > $leaf;"
start_copy privacy_guard
PGHOST=$copy verification t 'privacy_guard.verify_audit_log()'
PGHOST=$copy verification f 'privacy_guard.verify_audit_log(:checkpoint, :public_key)'
stop_copy
rm -rf "$copy"

say '' 'The log of the demo itself is whole:'
verification t 'privacy_guard.verify_audit_log(:checkpoint, :public_key)'

heading '12. Data whose time is over'
say 'Leads may be kept for 180 days. Most of those that the CRM had were older, so the eraser has been at work since it was told:'
allowed dpo "SELECT table_name, action, cutoff, backlog, rows_total, state FROM privacy_guard.retention_status ORDER BY table_name::text;"
say '' 'Three people left their cards at a fair, 180 days ago but for ten seconds. One of them sues us: what may be evidence has to stay.'
began=$(psql -XqAt -U auditor -c 'SELECT clock_timestamp()')
sales='BEGIN ISOLATION LEVEL REPEATABLE READ; SET LOCAL privacy_guard.purpose = '"'sales'"';'
fair=$(psql -XqAt -U crm_app -c 'BEGIN' -c "SET LOCAL privacy_guard.purpose = 'sales'" \
	-c "INSERT INTO leads (first_name, last_name, email, region, source, status, score, created_at)
	    SELECT name, 'Fair', lower(name) || '@fair.example', 'north', 'fair', 'new', 50, now() - interval '180 days' + interval '10 seconds'
	      FROM unnest('{Ada,Ben,Cleo}'::text[]) AS name RETURNING id" -c 'COMMIT')
mapfile -t lead <<< "$fair"
allowed dpo "SELECT privacy_guard.place_hold('4 O 11/26', subject => '${lead[2]}', subject_category => 'lead', reason => 'claim for damages');"
say '' 'The hold binds everybody:'
refused crm_app 'BEGIN;' "SET LOCAL privacy_guard.purpose = 'sales';" "DELETE FROM leads WHERE id = ${lead[2]};"
refused postgres 'DROP TABLE leads;'
say '' 'Session 1 is the CRM, in one REPEATABLE READ transaction. The three are gone from it at their second:'
count="SELECT count(*) FROM leads WHERE last_name = 'Fair';"
open_session crm_app
in_session "$sales"
in_session "$count"
[ "$answer" = 3 ] || { echo '    ^^^ this should be three'; wrong=$((wrong + 1)); }
sleep 10
in_session "$count"
[ "$answer" = 0 ] || { echo '    ^^^ this should be none'; wrong=$((wrong + 1)); }
in_session 'COMMIT;'
close_session

say '' 'A moment later two of them are gone from the disk as well, as the receipt says. The third is hidden, and kept:'
receipts="privacy_guard.audit_records(kinds => '{retention}', since => '$began') WHERE relation = 'crm.leads' AND reason = 'expired'"
receipt="SELECT recorded_at, relation, rows, privacy_guard.cardinality(subjects) AS people, new ->> 'cutoff' AS began_until,
             new ->> 'duration_ms' AS ms FROM $receipts;"
until_true auditor "SELECT sum(rows) >= 2 FROM $receipts"
allowed auditor "$receipt"
allowed oncall "SELECT privacy_guard.break_glass('demo: what is left of the fair?', '1 minute');" \
	"SELECT id, first_name FROM crm.leads WHERE last_name = 'Fair';" 'SELECT privacy_guard.end_break_glass();'
say '' 'The suit is settled, and the third is erased:'
allowed dpo "SELECT privacy_guard.release_hold('4 O 11/26');"
until_true auditor "SELECT sum(rows) >= 3 FROM $receipts"
allowed auditor "$receipt"

heading '13. Somebody asks to be forgotten'
forgotten=$(psql -XqAt -U crm_app -c 'SELECT max(referrer_id) FROM referrals r JOIN tickets ON customer_id = referrer_id')
say 'One call goes through all guarded tables. Rows that are about others as well lose this person only (severed):'
allowed dpo "SELECT e ->> 'status' AS status, t ->> 'relation' AS relation, t ->> 'deleted' AS deleted, t ->> 'severed' AS severed
         FROM privacy_guard.erase_subject('$forgotten', 'letter of 3 May') AS e, jsonb_array_elements(e -> 'tables') AS t;"
say '' 'The receipt is in the log, without a key:'
allowed auditor "SELECT operation, reason, rows, privacy_guard.cardinality(subjects) AS people, new ->> 'consents_withdrawn' AS withdrawn
             FROM privacy_guard.audit_records(kinds => '{retention}', since => '$began') WHERE reason <> 'expired';"
allowed crm_app "SELECT count(*) FROM customers WHERE id = $forgotten;"
say '' 'The ledger keeps the proof of what was agreed and withdrawn, under a number that leads back to nobody. A list that was bought, or an old backup, must not bring them back:'
refused crm_app "SELECT privacy_guard.record_consent('$forgotten', 'marketing.email');"
say '' 'On the disk something remains for a while, and this is what removes it:'
allowed dpo "SELECT * FROM privacy_guard.physical_remains('crm.customers');"

if [ "$wrong" -gt 0 ]; then
	printf '\n%s answers were not what they should be.\n' "$wrong"
	exit 1
fi
