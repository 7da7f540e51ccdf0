// Chains of elementwise steps: y = f(inputs), element by element, in one pass over memory.
//
// A chain is a list of steps such as "add 0 1", "relu 2". Operand i below the number of inputs is input i, the next
// ones are the results of the steps in order, and the result of the last step is y. Inputs broadcast to the shape of
// y as in NumPy. y may be the same memory as an input of its own shape: instructions run in place, and a matrix
// product is input 0 of the chain that ends it.
//
// A chain may have several results of one shape, any of its operands, each written over an input: an update of variables.
#pragma once
#include "kernel.h"
#include "steps.h"

namespace thalweg {
namespace THALWEG_ISA {

constexpr int kChainInputs = 16, kChainSteps = 32, kChainDims = 8;
// A chain runs on tiles of at most so many elements, whose intermediate results stay in the first-level cache.
constexpr int64_t kChainTile = 512;

// How a tile of an input is found.
enum ChainAccess : int32_t {
  kUnused,
  kWhole,     // as large as y: read in place
  kScalar,    // one element: a tile of copies, made once per run
  kPeriodic,  // a row repeated, tiles hold whole rows: expanded once per run
  kExpanded,  // any other broadcast: expanded for each tile, or read in place where the tile lies in one row
};

struct ChainInput {
  const float* data;
  ChainAccess access;
  int32_t slot;                 // its tile in scratch memory
  int64_t strides[kChainDims];  // in elements per merged dimension, innermost first; 0 repeats
};

struct ChainStep {
  TileFunction tile;
  VectorFunction vector;
  int32_t arity;
  int32_t operands[3];  // i < kChainInputs: input i; kChainInputs + k: the result of step k
  int32_t slot;         // its tile in scratch memory
  float* result;        // written instead of the tile; null: the tile
};

// A result that no step may write where it belongs, because what is there is still needed, or that is an input.
struct ChainCopy {
  float* result;
  int32_t operand;
  int32_t slot;         // of a tile in which it waits, when it is an input that another result is written over; else -1
};

// A chain, ready to run. Plain memory: it lies in the parameter block of the kernel that runs it.
struct Chain {
  float* y;             // the first result
  int64_t inputCount, stepCount, copyCount;
  const float* ahead;   // memory to fetch for writing, ahead of its tile: what other threads have read; or null
  bool single;          // one step, all operands whole: no tiles needed
  bool vectors;         // all steps can take vectors, and no input is repeated but scalars: so few elements as one has need no tiles
  int64_t tile;         // elements
  int64_t dims, extents[kChainDims];  // of y, merged where all broadcast inputs allow it, innermost first
  int64_t scratchBytes;               // that `runChain` needs
  int64_t wholeInputs;                // arrays it reads from memory
  double cost;                        // of the steps: nanoseconds per element
  ChainStep steps[kChainSteps];
  ChainCopy copies[kChainInputs];
  ChainInput inputs[kChainInputs];
};

// Reads the attribute "steps" of an instruction and prepares them for its output. False: `error` says what is wrong,
// in the name of `kernel`. The chain must be zeroed. With `results`, an operand for each output of the instruction, these
// are what the outputs get, and there may be no steps; without, the only output gets the last step.
bool prepareChain(Preparation* preparation, const char* kernel, const Operand* const* inputs, int64_t inputCount,
                  Chain* chain, const double* results = nullptr);

// Computes `count` elements of y from `begin` on, and so `rows` times, `stride` elements further on each time. With
// more than one row, inputs that broadcast must be scalars or repeat after `stride` elements.
void runChain(const Chain& chain, int64_t begin, int64_t count, int64_t rows, int64_t stride, float* scratch);

}  // namespace THALWEG_ISA
}  // namespace thalweg
