// A plan as it arrives from outside, and the checks that let everything after them trust it.
#pragma once
#include <stdint.h>

#include <string>
#include <vector>

#include "../kernels/kernel.h"
#include "attributes.h"

namespace thalweg {

constexpr int64_t kMaximumRank = 8;
constexpr int64_t kAlignment = 64;    // of every block and every tensor in it: one cache line, one AVX-512 register
constexpr int64_t kElementBytes = 4;  // of both dtypes

struct TensorDescription {
  int64_t block;
  int64_t offset;  // bytes from the start of the block
  Dtype dtype;
  std::vector<int64_t> shape;
};

struct InstructionDescription {
  std::string op;
  std::vector<int64_t> inputs;  // numbers of tensors
  std::vector<int64_t> outputs;
  Attributes attributes;
};

struct PlanDescription {
  std::vector<int64_t> blocks;  // bytes of each
  std::vector<TensorDescription> tensors;
  std::vector<InstructionDescription> instructions;
};

// The product of the extents, 1 for a scalar; -1 when an extent is negative or when the product, or the product without
// the zeros in it, does not fit in memory that can be addressed. (Kernels multiply the extents around a zero.)
int64_t elementCount(const std::vector<int64_t>& shape);

// "[32, 784]"
std::string shapeText(const std::vector<int64_t>& shape);

// "instruction 3 (matmul)"
std::string instructionText(const PlanDescription& plan, size_t index);

// Checks all that can be checked without knowing the operations: every tensor lies inside its block, aligned; every number
// of a block or tensor exists; an output overlaps another operand only when both are the same memory.
// Returns what is wrong, or nothing.
std::string checkPlan(const PlanDescription& plan);

}  // namespace thalweg
