/* Random bytes, by those of advapi32, for Windows' wheels that are written in Rust: Wine has no
   bcryptprimitives.dll (tools/cross.py). */
#include <windows.h>
#include <ntsecapi.h>

__declspec(dllexport) BOOL ProcessPrng(PBYTE to, SIZE_T n) {
    return n == (ULONG)n && RtlGenRandom(to, (ULONG)n);
}
