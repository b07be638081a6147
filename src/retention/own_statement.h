/*
 * own_statement.h
 *		Statements that the extension itself runs on guarded tables, as their owners.
 *
 * Copyright (c) 2026, privacy_guard contributors
 */
#ifndef PRIVACY_GUARD_RETENTION_OWN_STATEMENT_H
#define PRIVACY_GUARD_RETENTION_OWN_STATEMENT_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "executor/spi.h"
#include "nodes/parsenodes.h"
#include "nodes/plannodes.h"
#include "utils/array.h"
#include "types/subject_bits.h"

#define OWN_NUMBERS 1024 /* gathered before they go into the set */

typedef struct OwnStatement
{
	struct OwnStatement *outer;
	const char *source; /* its text, known by its address */
	/*
	 * The guarded table of which it erases rows: those that are neither held nor restricted pass
	 * the guard.  InvalidOid: every row of every table passes.
	 */
	Oid erases;
	uint64 rows;     /* that came out of the scan of what it changes */
	uint64 withheld; /* held or restricted */
	uint64 unnumbered;
	TimestampTz first_start; /* of the rows; later than the last where there are none */
	TimestampTz last_start;
	SubjectBits *subjects; /* of the rows; NULL where nobody asks */
	uint64 number[OWN_NUMBERS];
	int n_numbers;
} OwnStatement;

/*
 * The own statement that has this text, or NULL.  Texts are compared by address, so the statements
 * of a trigger that it fires are not meant.  Valid in planner_hook (query_string) and in executor
 * hooks (QueryDesc.sourceText).
 */
extern OwnStatement *own_statement(const char *source_text);

/* What it is given, and where its rows go. */
typedef struct OwnCall
{
	const char *sql;
	SPIPlanPtr plan; /* made before by own_statement_prepare(); NULL: make one from sql */
	int n_args;
	Oid *types;
	Datum *values;
	bool *isnull; /* NULL: none is */
	DestReceiver *receiver;
	/* Called with what SPI returned, while its rows are there; may be NULL. */
	void (*take)(int result, void *arg);
	void *arg;
} OwnCall;

/*
 * Run it as the table's owner, in a security-restricted context, with the verb suspended.  An error
 * outside of a verb, and where it changes a table with rewrite rules or with triggers that would
 * run as superuser; runs_foreign_code() says so before.
 */
extern void own_statement_run(OwnStatement *own, Oid relid, const OwnCall *call);

/*
 * What the owner's triggers do ends with the statement, so while one runs they must not put
 * anything off.
 */
extern void own_statement_check_deferring(const ConstraintsSetStmt *statement);

/*
 * Core is about to cascade it to other tables: an error where that would run somebody's code as a
 * superuser.
 */
extern void own_statement_check_cascade(const PlannedStmt *plan);

/* Arguments of an array of texts. */
extern void own_statement_text_args(OwnCall *call, ArrayType *arguments);

/* The one jsonb that it returns; 0 for none, or null. */
extern Datum own_statement_jsonb(OwnStatement *own, Oid relid, const char *sql,
                                 ArrayType *arguments);

/* A plan that stays, made as the table's owner; it is the same for all arguments. */
extern SPIPlanPtr own_statement_prepare(Oid relid, const char *sql, int n_args, Oid *types);

extern void own_statement_settle(OwnStatement *own);

/* A row that it changes is about this subject; 0: one without a number. */
static inline void
own_statement_add_subject(OwnStatement *own, uint64 number)
{
	if (number == 0)
	{
		own->unnumbered++;
		return;
	}
	if (own->n_numbers > 0 && own->number[own->n_numbers - 1] == number)
		return;
	if (own->n_numbers == OWN_NUMBERS)
		own_statement_settle(own);
	own->number[own->n_numbers++] = number;
}

static inline void
own_statement_add_start(OwnStatement *own, TimestampTz start)
{
	own->first_start = Min(own->first_start, start);
	own->last_start = Max(own->last_start, start);
}

#endif /* PRIVACY_GUARD_RETENTION_OWN_STATEMENT_H */
