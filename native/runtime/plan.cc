#include "plan.h"

namespace thalweg {
namespace {

std::string text(int64_t number) { return std::to_string(number); }

std::string checkTensor(const PlanDescription& plan, size_t index) {
  const TensorDescription& tensor = plan.tensors[index];
  const std::string where = "tensor " + std::to_string(index) + " " + shapeText(tensor.shape) + ": ";
  if (static_cast<int64_t>(tensor.shape.size()) > kMaximumRank) {
    return where + "expected at most " + text(kMaximumRank) + " axes, got " + std::to_string(tensor.shape.size()) + ".";
  }
  const int64_t elements = elementCount(tensor.shape);
  if (elements < 0) return where + "expected extents of 0 or more whose product can be addressed.";
  if (tensor.block < 0 || tensor.block >= static_cast<int64_t>(plan.blocks.size())) {
    return where + "expected one of " + std::to_string(plan.blocks.size()) + " blocks, got block " + text(tensor.block) + ".";
  }
  if (tensor.offset < 0 || tensor.offset % kAlignment != 0) {
    return where + "expected an offset that is a multiple of " + text(kAlignment) + " bytes, got " + text(tensor.offset) + ".";
  }
  const int64_t available = plan.blocks[tensor.block];
  if (tensor.offset > available || elements * kElementBytes > available - tensor.offset) {
    return where + "expected it to end inside block " + text(tensor.block) + " of " + text(available) + " bytes, got offset " +
           text(tensor.offset) + " and " + text(elements * kElementBytes) + " bytes.";
  }
  return "";
}

// The first and one past the last byte of a tensor in its block.
struct Extent {
  int64_t block, begin, end;
};

Extent extentOf(const TensorDescription& tensor) {
  return {tensor.block, tensor.offset, tensor.offset + elementCount(tensor.shape) * kElementBytes};
}

bool overlapInPart(const Extent& a, const Extent& b) {
  if (a.block != b.block || a.begin >= b.end || b.begin >= a.end) return false;  // apart (or empty)
  return a.begin != b.begin || a.end != b.end;
}

std::string checkInstruction(const PlanDescription& plan, size_t index) {
  const InstructionDescription& instruction = plan.instructions[index];
  const std::string where = instructionText(plan, index) + ": ";
  std::vector<int64_t> operands = instruction.inputs;
  operands.insert(operands.end(), instruction.outputs.begin(), instruction.outputs.end());
  std::vector<Extent> extents;
  for (int64_t id : operands) {
    if (id < 0 || id >= static_cast<int64_t>(plan.tensors.size())) {
      return where + "expected operands among the plan's " + std::to_string(plan.tensors.size()) + " tensors, got tensor " +
             text(id) + ".";
    }
    extents.push_back(extentOf(plan.tensors[id]));
  }
  for (size_t output = instruction.inputs.size(); output < operands.size(); output++) {
    for (size_t other = 0; other < output; other++) {
      if (!overlapInPart(extents[output], extents[other])) continue;
      return where + "expected the output (tensor " + text(operands[output]) + ") to be apart from tensor " +
             text(operands[other]) + " or to be the same memory, got a partial overlap.";
    }
  }
  return "";
}

}  // namespace

int64_t elementCount(const std::vector<int64_t>& shape) {
  constexpr int64_t kMost = INT64_MAX / 64;  // leaves room for byte counts and for the products that kernels form
  int64_t count = 1;
  bool empty = false;
  for (int64_t extent : shape) {
    if (extent < 0) return -1;
    if (extent == 0) {
      empty = true;
      continue;
    }
    if (__builtin_mul_overflow(count, extent, &count) || count > kMost) return -1;
  }
  return empty ? 0 : count;
}

std::string shapeText(const std::vector<int64_t>& shape) {
  std::string result = "[";
  for (size_t axis = 0; axis < shape.size(); axis++) {
    if (axis > 0) result += ", ";
    result += text(shape[axis]);
  }
  return result + "]";
}

std::string instructionText(const PlanDescription& plan, size_t index) {
  return "instruction " + std::to_string(index) + " (" + plan.instructions[index].op + ")";
}

std::string checkPlan(const PlanDescription& plan) {
  std::string error;
  for (size_t block = 0; block < plan.blocks.size() && error.empty(); block++) {
    if (plan.blocks[block] < 0) {
      error = "block " + std::to_string(block) + ": expected 0 or more bytes, got " + text(plan.blocks[block]) + ".";
    }
  }
  for (size_t index = 0; index < plan.tensors.size() && error.empty(); index++) error = checkTensor(plan, index);
  for (size_t index = 0; index < plan.instructions.size() && error.empty(); index++) error = checkInstruction(plan, index);
  return error;
}

}  // namespace thalweg
