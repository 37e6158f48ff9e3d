/* The calls that end in W. */
#define CH WCHAR
#define WIDTH wide
#define BROKEN 0xd83d
#define T(name) name##W
#define FN(name) name##_wide
#include "texts.inc"
#include "servers.inc"
#include "discovery.inc"
#include "sessions.inc"
#include "security.inc"
#include "families.inc"
