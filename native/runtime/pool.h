// The threads of the process: one pool, shared by every session in every Node worker thread.
#pragma once
#include <stdint.h>

namespace thalweg {

// More threads than any machine has use for: each takes its own scratch memory.
constexpr int kMaximumThreads = 256;

// Calls body(context, chunk, slot) exactly once for each chunk of 0 … chunks-1, on at most `threads` threads, and
// returns when all calls have returned; what they wrote is then visible to the caller.
// `slot` is 0 on the calling thread and a different number below `threads` on each other thread that takes part in
// this job, so that it can select a scratch buffer. Which thread runs which chunk is not fixed, but thread t of n
// starts with the t-th n-th of the chunks, so that jobs over the same data tend to find it in the same core's cache.
// May be called from several threads at once. `threads` may exceed the number of cores. `body` must not throw.
void parallelFor(int64_t chunks, int threads, void (*body)(void* context, int64_t chunk, int slot), void* context);

// Whether `threads` - 1 workers are awake (and not, it is hoped, busy for somebody else), so that a job costs one or two microseconds rather than
// the 50 to 100 of waking them. A guess: it may change at once.
bool poolIsAwake(int threads);

}  // namespace thalweg
