/*
 * report.h
 *		Counting what is withheld or, in monitor mode, would be.
 */
#ifndef PRIVACY_GUARD_REPORT_H
#define PRIVACY_GUARD_REPORT_H

#include "postgres.h"

struct Frame;
struct FrameTable;

typedef enum ReportReason
{
	REPORT_NO_PURPOSE,
	REPORT_NOT_ENTITLED,
	REPORT_NO_RULE,
	REPORT_PROHIBITED,
	REPORT_ROWS,
	REPORT_EXPIRED
} ReportReason;

extern Size report_shmem_size(void);
extern void report_shmem_attach(void);

/* A statement that would have been refused; counts one. */
extern void report_refusal(struct Frame *frame, struct FrameTable *table, ReportReason reason);

/* Rows that the frame's tables withheld, or would have; at the end of an execution. */
extern void report_withheld(struct Frame *frame);

#endif
