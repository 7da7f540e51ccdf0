// Orders of rows, as src/random.ts shuffles them: the same words of the same stream, several times as fast.
#pragma once
#include <stdint.h>

namespace thalweg {

// A stream of random words: Philox4x32-10 of the counters (word / 4, 0, index, purpose).
struct RandomWords {
  uint32_t key0, key1, index, purpose;
};

// The steps from … downTo of Fisher and Yates: the value at i changes places with one at 0 … i. `word` is the first of the
// stream that they take; returns the next one.
int64_t shuffle(int32_t* values, int64_t from, int64_t downTo, const RandomWords& stream, int64_t word);

}  // namespace thalweg
