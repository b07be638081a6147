/*
 * consent.c
 *		Stored form and meaning of privacy_guard.consent.
 *
 * A value is an item array (item_array.h) of format 1, one item a decision, sorted by purpose, then
 * channel, then recipient; "none" sorts first, so the base decision leads its purpose. An item:
 *
 *		uint8 bits			status (0x0f), type (0x30), HAS_UNTIL, HAS_VERSION
 *		uint8 purpose_len, channel_len, recipient_len
 *		int64 event_time	microseconds since 2000-01-01 UTC
 *		int64 valid_until	only with HAS_UNTIL
 *		int16 version		only with HAS_VERSION; else 1
 *		purpose, channel, recipient, without separators
 *
 * Copyright (c) 2026, privacy_guard contributors
 */
#include "postgres.h"

#include "types/consent.h"
#include "types/item_array.h"
#include "types/purpose_path.h"

#define CONSENT_FORMAT 1

#define ITEM_STATUS_MASK 0x0f
#define ITEM_TYPE_SHIFT 4
#define ITEM_TYPE_MASK 0x03
#define ITEM_HAS_UNTIL 0x40
#define ITEM_HAS_VERSION 0x80
#define ITEM_FIXED_BYTES 12

static const char *const status_names[] = {"unknown", "requested",  "request_deferred", "refused",
                                           "given",   "renewed",    "withdrawn",        "revoked",
                                           "expired", "invalidated"};

StaticAssertDecl(lengthof(status_names) == CONSENT_STATUS_COUNT, "every consent status has a name");

static const char *const type_names[] = {NULL, "implied", "expressed", "explicitly_expressed"};

static inline void item_read(const char *item, ConsentDecision *out);
static bool find_base(const ItemArray *array, const char *path, int path_len, ConsentDecision *out);
static bool latest_refusal(const ItemArray *array, const char *path, int path_len,
                           TimestampTz *latest);

void
consent_evaluate(const Consent *consent, const char *path, int path_len, int version,
                 TimestampTz at, ConsentVerdict *out)
{
	ItemArray array;
	ConsentDecision own;
	TimestampTz refused_at = 0;
	bool above;
	bool denied;
	bool permits;

	out->level = 0;
	out->refused = false;
	out->changes_at = DT_NOEND;
	if (!item_array_open(consent, CONSENT_FORMAT, &array))
	{
		out->refused = true;
		return;
	}
	if (array.count == 0)
		return;

	above = latest_refusal(&array, path, path_len, &refused_at);
	if (!find_base(&array, path, path_len, &own))
	{
		out->refused = above;
		return;
	}
	if (CONSENT_IS_NEGATIVE(own.status))
	{
		out->refused = true;
		return;
	}

	denied = above && refused_at >= own.event_time;
	permits = !denied && CONSENT_IS_POSITIVE(own.status) && own.valid_until > own.event_time &&
	          (version <= 0 || version == own.version);
	if (own.event_time > at)
	{
		out->refused = above;
		if (permits || (above && !denied))
			out->changes_at = own.event_time;
		return;
	}
	out->refused = denied;
	if (permits && at < own.valid_until)
	{
		out->level = own.type;
		out->changes_at = own.valid_until;
	}
}

TimestampTz
consent_ends_at(const Consent *consent)
{
	TimestampTz ends_at = DT_NOEND;
	ItemArray array;

	if (!item_array_open(consent, CONSENT_FORMAT, &array))
		return DT_NOEND;
	for (int i = 0; i < array.count; i++)
	{
		ConsentDecision decision;
		int len;

		item_read(item_array_get(&array, i, &len), &decision);
		ends_at = Min(ends_at, consent_decision_ends_at(&decision));
	}
	return ends_at;
}

int
consent_count(const Consent *consent)
{
	ItemArray array;

	if (!item_array_open(consent, CONSENT_FORMAT, &array))
		ereport(ERROR,
		        (errcode(ERRCODE_DATA_CORRUPTED),
		         errmsg("unsupported format of a stored value of type privacy_guard.consent"),
		         errhint("A newer version of privacy_guard may have written it.")));
	return array.count;
}

void
consent_get(const Consent *consent, int i, ConsentDecision *out)
{
	ItemArray array;
	int len;

	if (!item_array_open(consent, CONSENT_FORMAT, &array) || i < 0 || i >= array.count)
		elog(ERROR, "no decision %d in a consent", i);
	item_read(item_array_get(&array, i, &len), out);
}

bool
consent_decision_is_valid(const ConsentDecision *decision)
{
	return purpose_path_is_valid(decision->purpose, decision->purpose_len) &&
	       (decision->channel_len == 0 ||
	        purpose_path_is_label(decision->channel, decision->channel_len)) &&
	       (decision->recipient_len == 0 ||
	        purpose_path_is_label(decision->recipient, decision->recipient_len)) &&
	       (int) decision->status >= 0 && (int) decision->status < CONSENT_STATUS_COUNT &&
	       (int) decision->type >= CONSENT_IMPLIED &&
	       (int) decision->type <= CONSENT_EXPLICITLY_EXPRESSED && decision->version >= 1 &&
	       CONSENT_TIME_IS_VALID(decision->event_time) &&
	       (decision->valid_until == DT_NOEND || CONSENT_TIME_IS_VALID(decision->valid_until));
}

static int
compare_for_sort(const void *left, const void *right)
{
	return consent_compare_keys(left, right);
}

bool
consent_sort(ConsentDecision *decisions, int count)
{
	if (count > 1)
		qsort(decisions, count, sizeof(ConsentDecision), compare_for_sort);
	for (int i = 1; i < count; i++)
	{
		if (consent_compare_keys(&decisions[i - 1], &decisions[i]) == 0)
			return false;
	}
	return true;
}

static int
item_size(const ConsentDecision *decision)
{
	return ITEM_FIXED_BYTES + (decision->valid_until != DT_NOEND ? sizeof(TimestampTz) : 0) +
	       (decision->version != 1 ? sizeof(int16) : 0) + decision->purpose_len +
	       decision->channel_len + decision->recipient_len;
}

static char *
append_bytes(char *at, const void *bytes, Size len)
{
	if (len > 0)
		memcpy(at, bytes, len);
	return at + len;
}

static void
item_write(char *item, const ConsentDecision *decision)
{
	bool has_until = decision->valid_until != DT_NOEND;
	bool has_version = decision->version != 1;
	char *at = item + 4;

	item[0] = decision->status | (decision->type << ITEM_TYPE_SHIFT) |
	          (has_until ? ITEM_HAS_UNTIL : 0) | (has_version ? ITEM_HAS_VERSION : 0);
	item[1] = decision->purpose_len;
	item[2] = decision->channel_len;
	item[3] = decision->recipient_len;
	at = append_bytes(at, &decision->event_time, sizeof(TimestampTz));
	if (has_until)
		at = append_bytes(at, &decision->valid_until, sizeof(TimestampTz));
	if (has_version)
		at = append_bytes(at, &decision->version, sizeof(int16));
	at = append_bytes(at, decision->purpose, decision->purpose_len);
	at = append_bytes(at, decision->channel, decision->channel_len);
	append_bytes(at, decision->recipient, decision->recipient_len);
}

static inline void
item_read(const char *item, ConsentDecision *out)
{
	uint8 bits = item[0];
	const char *at = item + ITEM_FIXED_BYTES;

	out->status = bits & ITEM_STATUS_MASK;
	out->type = (bits >> ITEM_TYPE_SHIFT) & ITEM_TYPE_MASK;
	out->purpose_len = item[1];
	out->channel_len = item[2];
	out->recipient_len = item[3];
	memcpy(&out->event_time, item + 4, sizeof(TimestampTz));
	out->valid_until = DT_NOEND;
	if (bits & ITEM_HAS_UNTIL)
	{
		memcpy(&out->valid_until, at, sizeof(TimestampTz));
		at += sizeof(TimestampTz);
	}
	out->version = 1;
	if (bits & ITEM_HAS_VERSION)
	{
		memcpy(&out->version, at, sizeof(int16));
		at += sizeof(int16);
	}
	out->purpose = at;
	out->channel = at + out->purpose_len;
	out->recipient = out->channel + out->channel_len;
}

Consent *
consent_form(const ConsentDecision *decisions, int count)
{
	ItemArray array;
	Size item_bytes = 0;
	struct varlena *value;

	if (count > ITEM_ARRAY_MAX_COUNT)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
		                errmsg("a consent holds at most %d decisions", ITEM_ARRAY_MAX_COUNT),
		                errhint("Remove decisions on purposes that no longer exist.")));
	for (int i = 0; i < count; i++)
		item_bytes += item_size(&decisions[i]);
	value = item_array_create(CONSENT_FORMAT, count, item_bytes, &array);
	for (int i = 0; i < count; i++)
	{
		Assert(consent_decision_is_valid(&decisions[i]));
		item_write(item_array_put(&array, i, item_size(&decisions[i])), &decisions[i]);
	}
	return (Consent *) value;
}

/* 0 for a negative status, 2 for one that permits. */
static int
permissiveness(ConsentStatus status)
{
	if (CONSENT_IS_NEGATIVE(status))
		return 0;
	return CONSENT_IS_POSITIVE(status) ? 2 : 1;
}

/*
 * Whether left holds over right, both for the same key. The order is total over the values, so that
 * merging is commutative, associative and idempotent whatever the order of arrival.
 */
static bool
prevails(const ConsentDecision *left, const ConsentDecision *right)
{
	if (left->event_time != right->event_time)
		return left->event_time > right->event_time;
	if (permissiveness(left->status) != permissiveness(right->status))
		return permissiveness(left->status) < permissiveness(right->status);
	if (left->type != right->type)
		return left->type < right->type;
	if (left->valid_until != right->valid_until)
		return left->valid_until < right->valid_until;
	if (left->version != right->version)
		return left->version < right->version;
	return left->status <= right->status;
}

Consent *
consent_combine(const Consent *left, const Consent *right)
{
	int left_count = consent_count(left);
	int right_count = consent_count(right);
	ConsentDecision *merged = palloc(sizeof(ConsentDecision) * (left_count + right_count + 1));
	int count = 0;
	int l = 0;
	int r = 0;
	Consent *result;

	while (l < left_count || r < right_count)
	{
		ConsentDecision from_left = {0};
		ConsentDecision from_right = {0};
		int order;

		if (l < left_count)
			consent_get(left, l, &from_left);
		if (r < right_count)
			consent_get(right, r, &from_right);
		if (l < left_count && r < right_count)
			order = consent_compare_keys(&from_left, &from_right);
		else
			order = l < left_count ? -1 : 1;

		if (order < 0 || (order == 0 && prevails(&from_left, &from_right)))
			merged[count++] = from_left;
		else
			merged[count++] = from_right;
		l += order <= 0;
		r += order >= 0;
	}
	result = consent_form(merged, count);
	pfree(merged);
	return result;
}

int
consent_compare_keys(const ConsentDecision *left, const ConsentDecision *right)
{
	int order =
	    purpose_path_compare(left->purpose, left->purpose_len, right->purpose, right->purpose_len);

	if (order == 0)
		order = purpose_path_compare(left->channel, left->channel_len, right->channel,
		                             right->channel_len);
	if (order == 0)
		order = purpose_path_compare(left->recipient, left->recipient_len, right->recipient,
		                             right->recipient_len);
	return order;
}

int
consent_compare_decisions(const ConsentDecision *left, const ConsentDecision *right)
{
	int order = consent_compare_keys(left, right);

	if (order != 0)
		return order;
	if (left->event_time != right->event_time)
		return left->event_time < right->event_time ? -1 : 1;
	if (left->status != right->status)
		return left->status < right->status ? -1 : 1;
	if (left->type != right->type)
		return left->type < right->type ? -1 : 1;
	if (left->valid_until != right->valid_until)
		return left->valid_until < right->valid_until ? -1 : 1;
	return (left->version > right->version) - (left->version < right->version);
}

const char *
consent_status_name(ConsentStatus status)
{
	return status_names[status];
}

const char *
consent_type_name(ConsentType type)
{
	return type_names[type];
}

bool
consent_status_parse(const char *name, int len, ConsentStatus *out)
{
	for (int i = 0; i < CONSENT_STATUS_COUNT; i++)
	{
		if (strlen(status_names[i]) == len && memcmp(status_names[i], name, len) == 0)
		{
			*out = i;
			return true;
		}
	}
	return false;
}

bool
consent_type_parse(const char *name, int len, ConsentType *out)
{
	for (int i = CONSENT_IMPLIED; i <= CONSENT_EXPLICITLY_EXPRESSED; i++)
	{
		if (strlen(type_names[i]) == len && memcmp(type_names[i], name, len) == 0)
		{
			*out = i;
			return true;
		}
	}
	return false;
}

/* The decision for exactly this purpose, without channel and recipient. */
static bool
find_base(const ItemArray *array, const char *path, int path_len, ConsentDecision *out)
{
	int low = 0;
	int high = array->count;

	while (low < high)
	{
		int middle = (low + high) / 2;
		int len;
		int order;

		item_read(item_array_get(array, middle, &len), out);
		order = purpose_path_compare(out->purpose, out->purpose_len, path, path_len);
		if (order == 0 && out->channel_len == 0 && out->recipient_len == 0)
			return true;
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return false;
}

/* The newest negative decision of an ancestor of the purpose. */
static bool
latest_refusal(const ItemArray *array, const char *path, int path_len, TimestampTz *latest)
{
	bool found = false;
	int len;

	for (len = purpose_path_parent(path, path_len); len > 0; len = purpose_path_parent(path, len))
	{
		ConsentDecision decision;

		if (!find_base(array, path, len, &decision) || !CONSENT_IS_NEGATIVE(decision.status))
			continue;
		if (!found || decision.event_time > *latest)
			*latest = decision.event_time;
		found = true;
	}
	return found;
}
