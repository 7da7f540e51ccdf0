// Updates by gradients that are products, and are never all in memory.
//
//   matmulUpdate: p a b … -> p …   the update "rule" ("sgd", "adam") of p [rows, columns] by g = a^T b, of a [depth, rows] and
//                                  b [depth, columns]; behind b what the update reads behind its gradient: slots, learning rate, step
//   checkMatmul: a b -> y int32[]  1 when no element of a^T b is NaN or infinite, else 0, and the step stops here
//
// A block of rows of g is used as soon as it is computed, while it is in the cache. The bits are those of matmul and of the update.
#include "matmul.h"
#include "updateRules.h"

#include <string.h>

#include "../simd/simd.h"
#include "support.h"

namespace thalweg {
namespace THALWEG_ISA {
namespace {

// a^T b, of matrices. False: `error` says what is wrong.
bool preparePassedProduct(Preparation* preparation, const char* kernel, const Operand& a, const Operand& b, Matmul* m) {
  if (a.dtype != Dtype::float32 || b.dtype != Dtype::float32) return fail(preparation, kernel, "expected float32 operands");
  if (a.rank != 2 || b.rank != 2 || a.shape[0] != b.shape[0])
    return fail(preparation, kernel, "expected matrices a and b with as many rows");
  m->batch = 1;
  m->rows = a.shape[1];
  m->columns = b.shape[1];
  m->depth = a.shape[0];
  preparation->instruction->chunks = 0;
  if (m->rows > 0 && m->columns > 0) planMatmul(preparation, m, true, false, Result::passedOn);
  return true;
}

// Computes a chunk, and hands it on.
void multiplyChunk(const Matmul& m, const Operand& a, const Operand& b, const Rectangle& r, float* scratch, const Receiver& receiver) {
  const Operand &left = m.swapped ? b : a, &right = m.swapped ? a : b;
  multiplyRectangle(m, (const float*)left.data + r.row * m.aRow, (const float*)right.data + r.column * m.bColumn, nullptr, nullptr, r.rows,
                    r.columns, scratch, &receiver);
}

// --- matmulUpdate ---

struct MatmulUpdate {
  Matmul product;
  Rule rule;
};

bool prepareMatmulUpdate(Preparation* preparation) {
  const char* kernel = "matmulUpdate";
  const Instruction& instruction = *preparation->instruction;
  MatmulUpdate* u = (MatmulUpdate*)instruction.parameters;
  const char* name = attributeText(preparation->attributes, "rule");
  const bool isAdam = strcmp(name, "adam") == 0;
  if (!isAdam && strcmp(name, "sgd") != 0) return fail(preparation, kernel, "expected the rule \"sgd\" or \"adam\"");
  if (!prepareRule(preparation, kernel, isAdam, &u->rule)) return false;
  const int64_t slots = u->rule.slots, scalars = isAdam ? 2 : 1;
  if (instruction.inputCount != 3 + slots + scalars || instruction.outputCount != 1 + slots)
    return fail(preparation, kernel,
                "expected p, a, b, the slots of the rule, a learning rate and for adam a step, and as outputs p and the slots");
  const Operand *inputs = instruction.inputs, *outputs = instruction.outputs, &p = inputs[0];
  if (!preparePassedProduct(preparation, kernel, inputs[1], inputs[2], &u->product)) return false;
  if (p.size != inputs[1].shape[1] * inputs[2].shape[1]) return fail(preparation, kernel, "expected a parameter as large as the product");
  for (int64_t i = 0; i <= slots; i++) {
    const Operand& x = inputs[i == 0 ? 0 : 2 + i];
    if (x.dtype != Dtype::float32 || x.size != p.size) return fail(preparation, kernel, "expected float32 slots as large as the parameter");
    if (outputs[i].data != x.data) return fail(preparation, kernel, "expected each output in the place of its input");
  }
  if (!checkRuleScalars(preparation, kernel, u->rule, inputs + 3 + slots)) return false;
  preparation->nanoseconds += (double)p.size * ruleCost(u->rule);
  return true;
}

constexpr int64_t kFetchedOfRow = 512;  // floats: behind them the rule fetches for itself

// Where the update of a chunk is.
struct UpdateContext {
  const Rule* rule;
  RuleScalars scalars;
  float* arrays[3];  // p and slots, at the first element of the chunk; null: there is none
  int64_t columns;   // of the parameter
  int64_t width;     // of the chunk
  int64_t yRow;
};

void updateRows(void* context, int64_t row, int64_t rows, const float* y) {
  const UpdateContext& u = *(const UpdateContext*)context;
  const bool together = u.width == u.columns;
  const int64_t runs = together ? 1 : rows, n = together ? rows * u.width : u.width;
  for (int64_t i = 0; i < runs; i++) {
    const int64_t at = (row + i) * u.columns;
    // What follows in memory belongs to other columns, so the next row is fetched here.
    for (int64_t k = 0; k <= u.rule->slots && i + 1 < runs; k++)
      for (int64_t ahead = 0; ahead < lesser(n, kFetchedOfRow); ahead += 16) __builtin_prefetch(u.arrays[k] + at + u.columns + ahead, 1);
    float* slots[2];
    for (int64_t k = 0; k < 2; k++) slots[k] = u.arrays[1 + k] == nullptr ? nullptr : u.arrays[1 + k] + at;
    applyRule(*u.rule, u.scalars, u.arrays[0] + at, y + i * u.yRow, slots[0], slots[1], n);
  }
}

void runMatmulUpdate(const Instruction* instruction, int64_t chunk, void* scratch) {
  const MatmulUpdate& u = *(const MatmulUpdate*)instruction->parameters;
  const Operand* inputs = instruction->inputs;
  const Matmul& m = u.product;
  const int64_t slots = u.rule.slots;
  const Rectangle r = rectangleOf(m, chunk);
  UpdateContext context = {};
  context.rule = &u.rule;
  context.scalars = ruleScalars(u.rule, inputs + 3 + slots);
  for (int64_t k = 0; k <= slots; k++) context.arrays[k] = (float*)inputs[k == 0 ? 0 : 2 + k].data + r.row * m.columns + r.column;
  context.columns = m.columns;
  context.width = r.columns;
  context.yRow = m.yRow;
  float* const* arrays = context.arrays;
  multiplyChunk(m, inputs[1], inputs[2], r, (float*)scratch, {updateRows, &context, 1 + slots, {arrays[0], arrays[1], arrays[2]}});
}

// --- checkMatmul ---

// Chunks are ranges of a, and then of b; each leaves the largest magnitude in `shared`, behind which there is scratch memory for the
// product.
struct CheckMatmul {
  Matmul product;
  int64_t productChunks, chunksOfA, scratchAt;
};

constexpr int64_t kMagnitudes = 16 * 1024;  // of a chunk

bool prepareCheckMatmul(Preparation* preparation) {
  const char* kernel = "checkMatmul";
  Instruction* instruction = preparation->instruction;
  CheckMatmul* c = (CheckMatmul*)instruction->parameters;
  if (instruction->inputCount != 2 || instruction->outputCount != 1) return fail(preparation, kernel, "expected a, b and one output");
  const Operand &a = instruction->inputs[0], &b = instruction->inputs[1], &y = instruction->outputs[0];
  if (y.dtype != Dtype::int32 || y.size != 1) return fail(preparation, kernel, "expected an int32 output of one element");
  if (!preparePassedProduct(preparation, kernel, a, b, &c->product)) return false;
  const int64_t scratchBytes = preparation->scratchBytes;
  c->productChunks = instruction->chunks;
  c->chunksOfA = quotientUp(a.size, kMagnitudes);
  instruction->chunks = greaterOf(1, c->chunksOfA + quotientUp(b.size, kMagnitudes));  // one, so that `finish` runs
  instruction->guards = true;
  c->scratchAt = roundedUp(instruction->chunks, 16);
  preparation->scratchBytes = 0;
  preparation->sharedBytes = c->scratchAt * (int64_t)sizeof(float) + scratchBytes;
  preparation->nanoseconds = 20 + (double)(a.size + b.size) * (kWidth == 1 ? 0.5 : 0.06);
  return true;
}

// The largest magnitude as an integer, which orders magnitudes, infinity and NaN in this order.
Int largerMagnitude(Int largest, Float x) {
  const Int magnitude = bits(x) & splatInt(0x7fffffff);
  return selectInt(lessInt(largest, magnitude), magnitude, largest);
}

int32_t largestMagnitude(const float* x, int64_t n) {
  constexpr int kTogether = 4;  // so that none waits for the one before
  Int largest[kTogether];
  THALWEG_UNROLL for (int k = 0; k < kTogether; k++) largest[k] = splatInt(0);
  int64_t i = 0;
  for (; i + kTogether * kWidth <= n; i += kTogether * kWidth)
    THALWEG_UNROLL for (int k = 0; k < kTogether; k++) largest[k] = largerMagnitude(largest[k], load(x + i + k * kWidth));
  for (; i < n; i += kWidth) largest[0] = largerMagnitude(largest[0], loadPartial(x + i, (int)lesser(n - i, kWidth)));
  int32_t result = 0;
  THALWEG_UNROLL for (int k = 0; k < kTogether; k++) {
    int32_t lanes[kWidth];
    storeInt(lanes, largest[k]);
    for (int l = 0; l < kWidth; l++) result = lanes[l] > result ? lanes[l] : result;
  }
  return result;
}

void runCheckMatmul(const Instruction* instruction, int64_t chunk, void*) {
  const CheckMatmul& c = *(const CheckMatmul*)instruction->parameters;
  const bool isOfA = chunk < c.chunksOfA;
  const Operand& x = instruction->inputs[isOfA ? 0 : 1];
  const int64_t from = (isOfA ? chunk : chunk - c.chunksOfA) * kMagnitudes;
  ((int32_t*)instruction->shared)[chunk] = largestMagnitude((const float*)x.data + from, greaterOf(0, lesser(kMagnitudes, x.size - from)));
}

struct FiniteContext {
  int64_t width, yRow;
  bool isFinite;
};

void checkRows(void* context, int64_t, int64_t rows, const float* y) {
  FiniteContext& c = *(FiniteContext*)context;
  for (int64_t i = 0; i < rows; i++) c.isFinite = c.isFinite && largestMagnitude(y + i * c.yRow, c.width) < 0x7f800000;
}

bool isProductFinite(const Instruction* instruction, const CheckMatmul& c) {
  FiniteContext context = {0, c.product.yRow, true};
  for (int64_t chunk = 0; chunk < c.productChunks && context.isFinite; chunk++) {
    const Rectangle r = rectangleOf(c.product, chunk);
    context.width = r.columns;
    multiplyChunk(c.product, instruction->inputs[0], instruction->inputs[1], r, instruction->shared + c.scratchAt,
                  {checkRows, &context, 0, {}});
  }
  return context.isFinite;
}

Outcome finishCheckMatmul(const Instruction* instruction) {
  const CheckMatmul& c = *(const CheckMatmul*)instruction->parameters;
  const int32_t* largest = (const int32_t*)instruction->shared;
  float magnitudes[2] = {0, 0};
  bool isFinite = true;
  for (int64_t chunk = 0; chunk < instruction->chunks; chunk++) {
    float magnitude;
    memcpy(&magnitude, &largest[chunk], sizeof magnitude);
    float* of = &magnitudes[chunk < c.chunksOfA ? 0 : 1];
    isFinite = isFinite && largest[chunk] < 0x7f800000;
    *of = magnitude > *of ? magnitude : *of;
  }
  // A sum of n products is at most n times as large as the largest one, and rounding changes it by less than a factor of two. What is
  // not finite in a or b makes a row or a column of the product so.
  const double most = (double)magnitudes[0] * (double)magnitudes[1] * (double)c.product.depth;
  if (c.product.rows == 0 || c.product.columns == 0) {
    isFinite = true;
  } else if (isFinite && !(most < 0x1p126 && c.product.depth < 1 << 22)) {
    isFinite = isProductFinite(instruction, c);
  }
  *(int32_t*)instruction->outputs[0].data = isFinite;
  return isFinite ? Outcome::proceed : Outcome::stopRun;
}

const Kernel kernels[] = {
    // name, parameters, prepare, run, finish
    {"matmulUpdate", sizeof(MatmulUpdate), prepareMatmulUpdate, runMatmulUpdate, nullptr},        // p a b … -> p …
    {"checkMatmul", sizeof(CheckMatmul), prepareCheckMatmul, runCheckMatmul, finishCheckMatmul},  // a b -> y
};

}  // namespace

extern const KernelFamily matmulUpdateFamily;
const KernelFamily matmulUpdateFamily = {kernels, sizeof kernels / sizeof kernels[0]};

}  // namespace THALWEG_ISA
}  // namespace thalweg
