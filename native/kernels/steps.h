// The steps an elementwise chain is made of. chain.cc runs them, for the elementwise kernel and at the end of products.
#pragma once
#include <stdint.h>

namespace thalweg {
namespace THALWEG_ISA {

// Computes n elements. y may be the same memory as an operand, but not overlap one otherwise.
// The result for an element does not depend on its position or on n.
using TileFunction = void (*)(const float* const* operands, float* y, int64_t n);

struct Float;  // of simd.h, which the runtime does not know

// The same for one vector, in registers. Operands beyond the arity are ignored.
using VectorFunction = Float (*)(Float a, Float b, Float c);

struct StepFunctions {
  TileFunction tile;
  VectorFunction vector;  // or null
};

struct StepOp {
  const char* name;
  int32_t arity;
  StepFunctions functions;
  float cost;      // roughly: nanoseconds per element with vectors of eight
  bool readsInts;  // the operand's bits are int32
};

// Null when there is no step of that name.
const StepOp* findStep(const char* name);

// The whole table, for tests.
const StepOp* allSteps(int64_t* count);

}  // namespace THALWEG_ISA
}  // namespace thalweg
