/* The calls that end in A. */
#define CH CHAR
#define WIDTH narrow
#define BROKEN 0xff
#define T(name) name##A
#define FN(name) name##_narrow
#include "texts.inc"
#include "servers.inc"
#include "discovery.inc"
#include "sessions.inc"
#include "security.inc"
#include "families.inc"
