/*
 * verb_mirror.h
 *		Carries decisions into the consent columns of guarded tables.
 *
 * Copyright (c) 2026, privacy_guard contributors
 */
#ifndef PRIVACY_GUARD_POLICY_VERB_MIRROR_H
#define PRIVACY_GUARD_POLICY_VERB_MIRROR_H

/*
 * Is this the text of the statement with which a verb writes a consent column just now? It is
 * compared by address, so the statements of a trigger that this one fires are not meant. Valid in
 * planner_hook (query_string) and in executor hooks (QueryDesc.sourceText); row security is not
 * asked for it.
 */
extern bool verb_owns_statement(const char *source_text);

#endif /* PRIVACY_GUARD_POLICY_VERB_MIRROR_H */
