/* What the ranks of a team share: barrier, start, stop word and abort word, and the flush-to-zero
   state of a rank. C, because Cython cannot say atomics. */
#ifndef FASTBP_TEAM_H
#define FASTBP_TEAM_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "compiler.h"

#if defined(_WIN32)
#ifndef WIN32_LEAN_AND_MEAN /* the whole header makes macros of common words, such as `hyper` */
#define WIN32_LEAN_AND_MEAN
#endif
#ifndef NOMINMAX
#define NOMINMAX
#endif
#include <windows.h>
#define team_yield() SwitchToThread()
#else
#include <sched.h>
#define team_yield() sched_yield()
#endif
#if defined(__x86_64__) || defined(_M_X64)
#include <immintrin.h>
#define team_pause() _mm_pause()
#elif defined(__aarch64__)
#define team_pause() __asm__ __volatile__("yield")
#else
#define team_pause() ((void)0)
#endif

/* Indices into the words, a cache line apart; `team_words` of them make a team's memory. */
enum { team_arrived = 0, team_round = 16, team_begun = 32, team_stop = 48, team_leave = 64,
       team_abort = 80, team_overflow = 96, team_words = 112 };
enum { team_spins = 1000 }; /* about 50 us of pauses, then the core is offered to others */

typedef _Atomic int32_t team_word;

static inline int team_read(const int32_t *words, int which) {
    return atomic_load_explicit((const team_word *)words + which, memory_order_acquire);
}

static inline void team_write(int32_t *words, int which, int value) {
    atomic_store_explicit((team_word *)words + which, value, memory_order_release);
}

/* Change `begun` from 0 to value; whoever is first decides for all. */
static inline int team_decide(int32_t *words, int value) {
    int32_t undecided = 0;
    return atomic_compare_exchange_strong((team_word *)words + team_begun, &undecided, value);
}

/* Wait until words[which] differs from `old`. 0 if the team was aborted meanwhile. */
static inline int team_await(const int32_t *words, int which, int old) {
    for (int spin = 0; team_read(words, which) == old;) {
        if (team_read(words, team_abort)) return 0;
        if (spin < team_spins) { team_pause(); spin++; } else team_yield();
    }
    return !team_read(words, team_abort);
}

/* All ranks meet; the last one opens the next round. */
static inline int team_barrier(int32_t *words, int size) {
    if (size == 1) return 1;
    int round = team_read(words, team_round);
    if (atomic_fetch_add((team_word *)words + team_arrived, 1) + 1 == size) {
        team_write(words, team_arrived, 0);
        team_write(words, team_round, round + 1);
        return !team_read(words, team_abort);
    }
    return team_await(words, team_round, round);
}

/* Ask for memory that other ranks have read, to write it soon: each of its lines has to be taken away
   from them first, which takes longer than the step itself. */
static inline void team_own(const void *memory, ptrdiff_t bytes) {
#if fastbp_gnu && defined(__x86_64__)
    for (ptrdiff_t at = 0; at < bytes; at += 64)
        __asm__ __volatile__("prefetchw %0" : : "m"(*((const char *)memory + at)));
#elif fastbp_gnu
    for (ptrdiff_t at = 0; at < bytes; at += 64)
        __builtin_prefetch((const char *)memory + at, 1);
#else
    (void)memory, (void)bytes;
#endif
}

/* The ranks begin together or not at all: 0 if the launch was cancelled first. */
static inline int team_start(int32_t *words, int size) {
    if (atomic_fetch_add((team_word *)words + team_arrived, 1) + 1 == size) {
        team_write(words, team_arrived, 0);
        team_decide(words, 1);
    }
    return team_await(words, team_begun, 0) && team_read(words, team_begun) == 1;
}

/* Denormals cost up to 50 times a normal operation and Adam's moments of dead inputs end as such:
   ranks flush them to zero while they train, and restore the caller's state when they leave. */
#if defined(__x86_64__) || defined(_M_X64)
static inline uint64_t flush_to_zero(void) {
    uint64_t before = _mm_getcsr();
    _mm_setcsr((unsigned)before | 0x8040); /* FTZ | DAZ */
    return before;
}
static inline void flush_restore(uint64_t before) {
    _mm_setcsr((_mm_getcsr() & ~0x8040u) | ((unsigned)before & 0x8040u));
}
#elif defined(__aarch64__)
static inline uint64_t flush_to_zero(void) {
    uint64_t before;
    __asm__ __volatile__("mrs %0, fpcr" : "=r"(before));
    __asm__ __volatile__("msr fpcr, %0" : : "r"(before | (1u << 24)));
    return before;
}
static inline void flush_restore(uint64_t before) {
    __asm__ __volatile__("msr fpcr, %0" : : "r"(before));
}
#else
static inline uint64_t flush_to_zero(void) { return 0; }
static inline void flush_restore(uint64_t before) { (void)before; }
#endif

#endif
