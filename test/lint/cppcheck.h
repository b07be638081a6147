/*
 * cppcheck.h
 *		Stands in for PostgreSQL's headers, which cppcheck does not read: the macros that are not
 *		shaped like a function call or an expression.
 */
#define INT64_FORMAT "%ld"
#define UINT64_FORMAT "%lu"
#define CppAsString2(x) #x
#define foreach(cell, list) for (cell = list_head(list); cell != NULL; cell = lnext(list, cell))
#define forboth(cell1, list1, cell2, list2)                                                        \
	for (cell1 = list_head(list1), cell2 = list_head(list2); cell1 != NULL && cell2 != NULL;       \
	     cell1 = lnext(list1, cell1), cell2 = lnext(list2, cell2))
