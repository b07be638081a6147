/*
 * verb.h
 *		The envelope in which the extension's own functions write its tables.
 *
 * Copyright (c) 2026, privacy_guard contributors
 */
#ifndef PRIVACY_GUARD_POLICY_VERB_H
#define PRIVACY_GUARD_POLICY_VERB_H

/* Is the code that runs now the body of one of our own functions? */
extern bool verb_in_progress(void);

/* Where refusals go on record: an auxiliary function of ereport(), errdenial() when it is set. */
extern int (*verb_denial)(Oid relation, const char *reason);

/* The role that called the verb in progress. Outside of verbs an error. */
extern Oid verb_invoker(void);

/*
 * Around code that is not ours although a verb is in progress (event triggers of a nested utility
 * command, a query of the invoker). Resume with the result of suspend, also on error.
 */
extern int verb_suspend(void);
extern void verb_resume(int depth);

/*
 * Call privacy_guard_internal.<function>(argument), as its owner and as a verb, after a command of
 * the current role that the extension's own tables must follow.
 */
extern void verb_run_as_owner(const char *function, Oid argument);

/*
 * Between these, a background worker writes the extension's tables as their owner.  End also after
 * an abort, which restores everything else.
 */
extern void verb_begin_worker(Oid owner);
extern void verb_end_worker(void);

#endif /* PRIVACY_GUARD_POLICY_VERB_H */
