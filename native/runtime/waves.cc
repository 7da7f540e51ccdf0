#include "waves.h"

#include <algorithm>
#include <numeric>

namespace thalweg {
namespace {

constexpr int64_t kMostInstructions = 32;  // of a wave, for each is compared with all others

bool overlap(const Operand& a, const Operand& b) {
  const auto *firstOfA = static_cast<const float*>(a.data), *firstOfB = static_cast<const float*>(b.data);
  return a.size > 0 && b.size > 0 && firstOfA < firstOfB + b.size && firstOfB < firstOfA + a.size;
}

// Whether `a` writes what `b` reads or writes.
bool disturbs(const Instruction& a, const Instruction& b) {
  for (int64_t i = 0; i < a.outputCount; i++) {
    for (int64_t j = 0; j < b.inputCount; j++) {
      if (overlap(a.outputs[i], b.inputs[j])) return true;
    }
    for (int64_t j = 0; j < b.outputCount; j++) {
      if (overlap(a.outputs[i], b.outputs[j])) return true;
    }
  }
  return false;
}

bool mayJoin(const std::vector<PreparedInstruction>& plan, const Wave& wave, int64_t index) {
  if (index - wave.first >= kMostInstructions) return false;
  const Instruction& next = plan[index].instruction;
  for (int64_t i = wave.first; i < index; i++) {
    const Instruction& other = plan[i].instruction;
    if (other.guards || disturbs(other, next) || disturbs(next, other)) return false;
  }
  return true;
}

// Every thread gets its part of every instruction, the largest chunks first, so that all end together. Instructions of a
// single chunk are dealt out in turn.
void addUnits(const std::vector<PreparedInstruction>& plan, int64_t threads, Wave* wave, std::vector<Unit>* units) {
  std::vector<int64_t> order(static_cast<size_t>(wave->end - wave->first));
  std::iota(order.begin(), order.end(), wave->first);
  const auto nanosecondsPerChunk = [&](int64_t i) {
    return plan[i].nanoseconds / static_cast<double>(std::max<int64_t>(1, plan[i].instruction.chunks));
  };
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return nanosecondsPerChunk(a) > nanosecondsPerChunk(b); });
  wave->firstUnit = static_cast<int64_t>(units->size());
  for (int64_t thread = 0; thread < threads; thread++) {
    int64_t single = 0;
    for (const int64_t i : order) {
      const int64_t chunks = plan[i].instruction.chunks;
      if (chunks == 1) {
        if (single++ % threads == thread) units->push_back({i, 0});
        continue;
      }
      for (int64_t chunk = firstOfShare(chunks, thread, threads); chunk < firstOfShare(chunks, thread + 1, threads); chunk++)
        units->push_back({i, chunk});
    }
  }
  wave->endUnit = static_cast<int64_t>(units->size());
}

}  // namespace

Waves findWaves(const std::vector<PreparedInstruction>& plan, int64_t threads, double leastNanoseconds) {
  Waves found;
  const int64_t count = static_cast<int64_t>(plan.size());
  for (int64_t index = 0; index < count;) {
    Wave wave = {index, index + 1, 0, 0, plan[index].nanoseconds, false};
    if (threads == 1) {
      wave.end = count;
    } else {
      while (wave.end < count && mayJoin(plan, wave, wave.end)) wave.nanoseconds += plan[wave.end++].nanoseconds;
      addUnits(plan, threads, &wave, &found.units);
      wave.mayShare = wave.endUnit - wave.firstUnit > 1 && wave.nanoseconds >= leastNanoseconds;
    }
    found.waves.push_back(wave);
    index = wave.end;
  }
  return found;
}

}  // namespace thalweg
