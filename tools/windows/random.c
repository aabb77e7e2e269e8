/* Random bytes, by those of advapi32, for Windows' wheels that are written in Rust: Wine's C libraries have
   no bcryptprimitives.dll (tools/cross.py). */
#include <windows.h>
#include <ntsecapi.h>

__declspec(dllexport) BOOL ProcessPrng(PBYTE to, SIZE_T n) { return RtlGenRandom(to, (ULONG)n); }
