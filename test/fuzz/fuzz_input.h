/*
 * fuzz_input.h
 *		Random and mutated inputs for the input functions of the types.
 *
 * Copyright (c) 2026, privacy_guard contributors
 */
#ifndef FUZZ_INPUT_H
#define FUZZ_INPUT_H

/* Room for a few containers of 8 kB. */
#define MAX_INPUT 32768

/* All that an input depends on. */
extern uint64 fuzz_random_state;

/* The input under construction; 0 bytes before each. */
extern char fuzz_input[MAX_INPUT + 64];
extern int fuzz_input_len;

extern uint64 fuzz_next_random(void);
extern int fuzz_below(int limit);
extern bool fuzz_one_in(int chance);

#define PICK(array) ((array)[fuzz_below(lengthof(array))])

/* Appends a path, mostly a valid one. */
extern void fuzz_put_path(void);

/* The argument of an input, receive or jsonb cast function. */
extern Datum fuzz_make_consent_text(void);
extern Datum fuzz_make_consent_wire(void);
extern Datum fuzz_make_consent_json(void);
extern Datum fuzz_make_purpose_set_text(void);
extern Datum fuzz_make_purpose_set_wire(void);
extern Datum fuzz_make_purpose_set_json(void);
extern Datum fuzz_make_subject_set_text(void);
extern Datum fuzz_make_subject_set_wire(void);
extern Datum fuzz_make_subject_set_json(void);

/* A number near one at which something begins or ends, mostly one of a subject. */
extern uint64 fuzz_subject(void);

#endif /* FUZZ_INPUT_H */
