// Matrix product: y = chain(a b + bias, further inputs).
//
//   a [..., rows, depth] ([..., depth, rows] when transposeA)   b [..., depth, columns] ([..., columns, depth] when
//   transposeB)   bias [columns], if the attribute says so   further inputs: as large as y, [columns] or scalars
//   y [..., rows, columns]; the leading extents of a and b broadcast. y aliases nothing.
//
// Each element of y is one chain of fused multiply-adds over ascending k, starting from 0; then the bias is added,
// then the elementwise chain of "steps" applied (chain.h), whose input 0 is what y holds by then. All the rest is free,
// and chosen for speed: it cannot change a bit of the result.
//
// Here is the instruction: its checks, and what runs for a chunk. How a product is computed is chosen in matmulPlan.cc; matmulBlocks.cc multiplies
// a rectangle in blocks and panels, by the micro-kernels of matmulTiles.cc; smallProduct.cc multiplies what needs none of them.
#include "matmul.h"

#include <stdio.h>

#include "support.h"

namespace thalweg {
namespace THALWEG_ISA {
namespace {

// --- Running ---

// The position of the matrix of x that belongs to matrix `index` of y: leading extents of 1 repeat.
int64_t matrixOffset(const Operand& x, const Operand& y, int64_t index) {
  int64_t offset = 0, stride = x.shape[x.rank - 2] * x.shape[x.rank - 1];
  for (int64_t axis = x.rank - 3; axis >= 0; axis--) {
    int64_t extent = y.shape[axis + y.rank - x.rank];
    int64_t position = index % extent;
    index /= extent;
    if (x.shape[axis] == extent) offset += position * stride;
    stride *= x.shape[axis];
  }
  return offset;
}

void runMatmul(const Instruction* instruction, int64_t chunk, void* scratch) {
  const Matmul& m = *(const Matmul*)instruction->parameters;
  const Operand &a = instruction->inputs[m.swapped ? 1 : 0], &b = instruction->inputs[m.swapped ? 0 : 1];
  const Operand& y = instruction->outputs[0];
  const float* bias = m.biased ? (const float*)instruction->inputs[2].data : nullptr;
  if (m.isSmall) {
    multiplySmall(m.small, (const float*)a.data, (const float*)b.data, bias, (float*)y.data);
    if (m.chained) applyChain(m, (float*)y.data, m.rows, m.columns, (float*)scratch);
    return;
  }
  const Rectangle r = rectangleOf(m, chunk);
  if (bias != nullptr && !m.swapped) bias += r.column;
  for (int64_t i = r.firstMatrix; i < r.endMatrix; i++) {
    int64_t offsetA = m.batch > 1 ? matrixOffset(a, y, i) : 0, offsetB = m.batch > 1 ? matrixOffset(b, y, i) : 0;
    multiplyRectangle(m, (const float*)a.data + offsetA + r.row * m.aRow, (const float*)b.data + offsetB + r.column * m.bColumn, bias,
                      (float*)y.data + (i * m.rows + r.row) * m.columns + r.column, r.rows, r.columns, (float*)scratch);
  }
}

// --- Preparation ---

// The product of the leading extents.
int64_t matrices(const Operand& x) {
  int64_t count = 1;
  for (int64_t axis = 0; axis < x.rank - 2; axis++) count *= x.shape[axis];
  return count;
}

bool checkOperands(Preparation* preparation, bool transposeA, bool transposeB, bool biased) {
  const Instruction* instruction = preparation->instruction;
  const int64_t own = biased ? 3 : 2;
  if (instruction->inputCount < own || instruction->outputCount != 1)
    return fail(preparation, "matmul", "expected a, b, a bias where the attribute says so, and one output");
  const Operand &a = instruction->inputs[0], &b = instruction->inputs[1], &y = instruction->outputs[0];
  bool floats = y.dtype == Dtype::float32;
  for (int64_t i = 0; i < own; i++) floats = floats && instruction->inputs[i].dtype == Dtype::float32;
  if (!floats) return fail(preparation, "matmul", "expected float32 operands");
  if (a.rank < 2 || b.rank < 2 || y.rank != greaterOf(a.rank, b.rank))
    return fail(preparation, "matmul", "expected matrices, and as many extents in y as in the longer of a and b");
  int64_t rows = a.shape[a.rank - (transposeA ? 1 : 2)], depth = a.shape[a.rank - (transposeA ? 2 : 1)];
  int64_t columns = b.shape[b.rank - (transposeB ? 2 : 1)], depthOfB = b.shape[b.rank - (transposeB ? 1 : 2)];
  int64_t rowsOfY = y.shape[y.rank - 2], columnsOfY = y.shape[y.rank - 1];
  if (depth != depthOfB || rows != rowsOfY || columns != columnsOfY) {
    snprintf(preparation->error, sizeof preparation->error,
             "matmul: expected [m, k] times [k, n] into [m, n], got [%lld, %lld] times [%lld, %lld] into [%lld, %lld]",
             (long long)rows, (long long)depth, (long long)depthOfB, (long long)columns, (long long)rowsOfY,
             (long long)columnsOfY);
    return false;
  }
  for (int64_t axis = 0; axis < y.rank - 2; axis++) {
    int64_t axisOfA = axis - (y.rank - a.rank), axisOfB = axis - (y.rank - b.rank);
    int64_t extentOfA = axisOfA < 0 ? 1 : a.shape[axisOfA], extentOfB = axisOfB < 0 ? 1 : b.shape[axisOfB];
    int64_t expected = extentOfA == 1 ? extentOfB : extentOfA;
    if (y.shape[axis] != expected || (extentOfB != 1 && extentOfB != expected)) {
      snprintf(preparation->error, sizeof preparation->error,
               "matmul: expected leading extents that broadcast, got %lld and %lld into %lld at axis %lld of y",
               (long long)extentOfA, (long long)extentOfB, (long long)y.shape[axis], (long long)axis);
      return false;
    }
  }
  if (biased && (instruction->inputs[2].rank != 1 || instruction->inputs[2].size != columns)) {
    snprintf(preparation->error, sizeof preparation->error, "matmul: expected a bias of %lld elements, got %lld",
             (long long)columns, (long long)instruction->inputs[2].size);
    return false;
  }
  return true;
}

// The chain that ends the product, if there are steps: its input 0 is the output itself.
bool prepareWriteBack(Preparation* preparation, Matmul* m) {
  const Instruction* instruction = preparation->instruction;
  const Operand& y = instruction->outputs[0];
  const int64_t own = m->biased ? 3 : 2, further = instruction->inputCount - own;
  int64_t steps;
  attributeTexts(preparation->attributes, "steps", &steps);
  m->chained = steps > 0;
  if (!m->chained) return further == 0 || fail(preparation, "matmul", "expected no further inputs without steps");
  if (further + 1 > kChainInputs) return fail(preparation, "matmul", "too many inputs");
  const Operand* inputs[kChainInputs] = {&y};
  for (int64_t i = 0; i < further; i++) {
    const Operand& x = instruction->inputs[own + i];
    if (x.size != 1 && x.size != y.size && (x.rank != 1 || x.size != y.shape[y.rank - 1]))
      return fail(preparation, "matmul", "expected further inputs as large as the output, [columns], or scalars");
    inputs[i + 1] = &x;
  }
  if (!prepareChain(preparation, "matmul", inputs, further + 1, &m->chain)) return false;
  // One step finds y in the cache if it follows soon. A longer chain, or one that reads more than y, is faster along rows.
  m->inPieces = m->chain.single && m->chain.wholeInputs == 1;
  return true;
}

bool prepareMatmul(Preparation* preparation) {
  Instruction* instruction = preparation->instruction;
  Matmul* m = (Matmul*)instruction->parameters;
  bool transposeA = attributeNumber(preparation->attributes, "transposeA", 0) != 0;
  bool transposeB = attributeNumber(preparation->attributes, "transposeB", 0) != 0;
  m->biased = attributeNumber(preparation->attributes, "bias", 0) != 0;
  if (!checkOperands(preparation, transposeA, transposeB, m->biased) || !prepareWriteBack(preparation, m)) return false;

  const Operand &a = instruction->inputs[0], &b = instruction->inputs[1], &y = instruction->outputs[0];
  m->batch = matrices(y);
  m->rows = y.shape[y.rank - 2];
  m->columns = y.shape[y.rank - 1];
  m->depth = a.shape[a.rank - (transposeA ? 2 : 1)];
  instruction->chunks = 0;
  if (y.size == 0) return true;
  if (!transposeA && matrices(b) == 1 && matrices(a) == m->batch) {
    // One matrix b for all: the matrices of a are one tall matrix.
    m->rows *= m->batch;
    m->batch = 1;
  }
  planMatmul(preparation, m, transposeA, transposeB, Result::kept);
  if (m->chained)
    preparation->nanoseconds += (double)y.size * (m->chain.cost + 0.05 * (double)(m->chain.wholeInputs - 1));
  return true;
}

const Kernel kernels[] = {
    // name, parameters, prepare, run, finish
    {"matmul", sizeof(Matmul), prepareMatmul, runMatmul, nullptr},  // a b [bias] … -> chain(a b + bias, …)
};

}  // namespace

extern const KernelFamily matmulFamily;
const KernelFamily matmulFamily = {kernels, sizeof kernels / sizeof kernels[0]};

}  // namespace THALWEG_ISA
}  // namespace thalweg
