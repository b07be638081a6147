/*
 * disclose.c
 *		Holding rows back until it is on record that they were read.
 *
 * What is held is limited, so that it stays in memory.  Rows are copied as a tuplestore would: a
 * value that is stored out of line stays there, where the snapshot of the run keeps it.
 */
#include "postgres.h"

#include "executor/tuptable.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#include "audit/disclose.h"

#define MAX_HELD_BYTES (1024 * 1024)
#define MAX_HELD_ROWS 10000
#define FIRST_HELD_ROWS 32

typedef struct Discloser
{
	DestReceiver receiver;
	DestReceiver *inner;
	DiscloseRelease release;
	void *arg;
	MemoryContext context; /* of the rows */
	MinimalTuple *held;
	int n_held;
	int room;
	Size held_bytes;
	TupleTableSlot *slot;
	bool was_released; /* at the end of the run */
	bool stopped;      /* the inner one wants no more */
} Discloser;

bool
disclose_leaves_server(const DestReceiver *receiver)
{
	switch (receiver->mydest)
	{
		case DestRemote:
		case DestRemoteExecute:
		case DestRemoteSimple:
		case DestCopyOut:
		case DestDebug:
			return true;
		default:
			return false;
	}
}

/* ---- passing on ---- */

static void
pass_on(Discloser *self)
{
	self->release(self->arg);
	for (int i = 0; i < self->n_held && !self->stopped; i++)
	{
		CHECK_FOR_INTERRUPTS();
		ExecStoreMinimalTuple(self->held[i], self->slot, false);
		self->stopped = !self->inner->receiveSlot(self->slot, self->inner);
	}
	ExecClearTuple(self->slot);
	MemoryContextReset(self->context);
	self->n_held = 0;
	self->held_bytes = 0;
}

/* ---- holding ---- */

static void
make_room(Discloser *self)
{
	if (self->n_held < self->room)
		return;
	self->room *= 2;
	self->held = repalloc(self->held, self->room * sizeof(MinimalTuple));
}

static bool
hold(TupleTableSlot *slot, DestReceiver *receiver)
{
	Discloser *self = (Discloser *) receiver;
	MemoryContext caller = MemoryContextSwitchTo(self->context);
	MinimalTuple row = ExecCopySlotMinimalTuple(slot);

	MemoryContextSwitchTo(caller);
	make_room(self);
	self->held[self->n_held++] = row;
	self->held_bytes += row->t_len;
	if (self->held_bytes >= MAX_HELD_BYTES || self->n_held >= MAX_HELD_ROWS)
		pass_on(self);
	return !self->stopped;
}

static void
start_up(DestReceiver *receiver, int operation, TupleDesc description)
{
	Discloser *self = (Discloser *) receiver;

	self->slot = MakeSingleTupleTableSlot(description, &TTSOpsMinimalTuple);
	self->room = FIRST_HELD_ROWS;
	self->held = palloc(self->room * sizeof(MinimalTuple));
	self->context = AllocSetContextCreate(CurrentMemoryContext, "privacy_guard held rows",
	                                      ALLOCSET_DEFAULT_SIZES);
	self->inner->rStartup(self->inner, operation, description);
}

static void
shut_down(DestReceiver *receiver)
{
	Discloser *self = (Discloser *) receiver;

	pass_on(self);
	self->was_released = true;
	ExecDropSingleTupleTableSlot(self->slot);
	MemoryContextDelete(self->context);
	pfree(self->held);
	self->inner->rShutdown(self->inner);
}

/* The inner one is its owner's. */
static void
destroy(DestReceiver *receiver)
{
	pfree(receiver);
}

/* ---- a run ---- */

DestReceiver *
disclose_wrap(DestReceiver *inner, DiscloseRelease release, void *arg)
{
	Discloser *self = palloc0(sizeof(Discloser));

	self->receiver.receiveSlot = hold;
	self->receiver.rStartup = start_up;
	self->receiver.rShutdown = shut_down;
	self->receiver.rDestroy = destroy;
	self->receiver.mydest = inner->mydest;
	self->inner = inner;
	self->release = release;
	self->arg = arg;
	return &self->receiver;
}

void
disclose_finish(DestReceiver *receiver)
{
	Discloser *self = (Discloser *) receiver;

	if (!self->was_released)
		self->release(self->arg);
	destroy(receiver);
}
