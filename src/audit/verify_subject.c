/*
 * verify_subject.c
 *		Does a segment name every subject that its records name?
 *
 * Elsewhere stored sets are trusted, because they were checked when they were made. Here nothing
 * is: somebody may have written the bytes.
 */
#include "postgres.h"

#include "audit/verify.h"
#include "types/roaring_format.h"
#include "types/subject_set.h"

struct VerifySubjects
{
	const char *portable;
	Size size;
	SubjectBits *bits; /* the same, when it was needed */
};

/* False when it is no set. The function called only looks at bytes: there is nothing to undo. */
static bool
open_set(SubjectSet *set, VerifySubjects *out)
{
	volatile bool is_set = false;

	PG_TRY();
	{
		out->portable = subject_set_portable(set, &out->size);
		is_set = true;
	}
	PG_CATCH();
	{
		FlushErrorState();
	}
	PG_END_TRY();
	return is_set && roaring_check(out->portable, out->size) == NULL;
}

VerifySubjects *
verify_subjects_open(Datum stored)
{
	VerifySubjects *subjects = palloc0(sizeof(VerifySubjects));

	return open_set(DatumGetSubjectSetP(stored), subjects) ? subjects : NULL;
}

static bool
has_numbers(const VerifySubjects *subjects, const RecordValue *named)
{
	const uint8 *at = named->data;

	for (Size i = 0; i < named->length; i++)
	{
		uint64 number;

		record_next_number(&at, &number);
		if (!roaring_contains(subjects->portable, number))
			return false;
	}
	return true;
}

static bool
has_bitmap(VerifySubjects *subjects, const RecordValue *named)
{
	SubjectBits *bits;
	bool result;

	if (roaring_check(named->data, named->length) != NULL)
		return false;
	if (subjects->bits == NULL)
	{
		subjects->bits = subject_bits_create(CurrentMemoryContext);
		subject_bits_or_serialized(subjects->bits, subjects->portable, subjects->size);
	}
	bits = subject_bits_create(CurrentMemoryContext);
	subject_bits_or_serialized(bits, (const char *) named->data, named->length);
	result = subject_bits_contain(subjects->bits, bits);
	subject_bits_clear(bits);
	return result;
}

bool
verify_subjects_within(VerifySubjects *subjects, const RecordFields *fields)
{
	const RecordValue *named = &fields->value[FIELD_SUBJECTS];

	if (!named->present)
		return true;
	if (subjects == NULL)
		return false;
	return named->is_array ? has_numbers(subjects, named) : has_bitmap(subjects, named);
}
