// Which instructions of a plan may run at the same time, and which thread should begin with which part of them.
#pragma once
#include <stdint.h>

#include <vector>

#include "../kernels/kernel.h"

namespace thalweg {

// An instruction that is ready to run, with what the loop needs of its kernel.
struct PreparedInstruction {
  void (*run)(const Instruction*, int64_t chunk, void* scratch);
  Outcome (*finish)(const Instruction*);
  double nanoseconds;  // the kernel's estimate, on one thread
  bool mayShare;       // whether it ever is worth the while of several threads
  Instruction instruction;
};

// A chunk of an instruction.
struct Unit {
  int64_t instruction, chunk;
};

// Neighbouring instructions that do not touch each other's results, so that their chunks may run in any order: the two
// products behind a layer's gradient, say. Threads meet only between waves.
struct Wave {
  int64_t first, end;          // instructions
  int64_t firstUnit, endUnit;  // the same as units, those that one thread should begin with next to each other
  double nanoseconds;          // of all of it, on one thread
  bool mayShare;
};

struct Waves {
  std::vector<Wave> waves;
  std::vector<Unit> units;
};

// Work estimated below `leastNanoseconds` is never shared. With one thread all instructions are one wave, without units.
Waves findWaves(const std::vector<PreparedInstruction>& plan, int64_t threads, double leastNanoseconds);

}  // namespace thalweg
