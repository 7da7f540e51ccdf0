// Kernels that find rows by number: gather, scatterAdd, oneHot.
//
// A number outside the table is no error here: it reads as a row of NaN (0 for integers) and is not written anywhere.
#include "kernel.h"

#include <string.h>

#include "../simd/simd.h"
#include "support.h"

namespace thalweg {
namespace THALWEG_ISA {
namespace {

// Whether `wide` is the shape of `indices` followed by the axes of `table` after its first.
bool isRowsOf(const Operand& wide, const Operand& indices, const Operand& table) {
  if (wide.rank != indices.rank + table.rank - 1) return false;
  for (int64_t i = 0; i < indices.rank; i++)
    if (wide.shape[i] != indices.shape[i]) return false;
  for (int64_t i = 1; i < table.rank; i++)
    if (wide.shape[indices.rank + i - 1] != table.shape[i]) return false;
  return true;
}

int64_t rowOf(const Operand& table) {
  int64_t row = 1;
  for (int64_t i = 1; i < table.rank; i++) row *= table.shape[i];
  return row;
}

// y[i, …] = table[indices[i], …]. A chunk is a range of elements of y.
struct Gather {
  int64_t count, row;        // extents of table[count, row]
  int64_t elementsPerChunk;
};

bool prepareGather(Preparation* preparation) {
  const Instruction* instruction = preparation->instruction;
  Gather* g = (Gather*)instruction->parameters;
  if (instruction->inputCount != 2 || instruction->outputCount != 1)
    return fail(preparation, "gather", "expected a table and indices as inputs, and one output");
  const Operand& table = instruction->inputs[0];
  const Operand& indices = instruction->inputs[1];
  const Operand& y = instruction->outputs[0];
  if (table.rank < 1) return fail(preparation, "gather", "expected a table with at least one axis");
  if (indices.dtype != Dtype::int32) return fail(preparation, "gather", "expected int32 indices");
  if (y.dtype != table.dtype) return fail(preparation, "gather", "expected table and output of one dtype");
  if (!isRowsOf(y, indices, table))
    return fail(preparation, "gather", "expected an output of the indices' shape followed by the shape of a table row");
  g->count = table.shape[0];
  g->row = rowOf(table);
  g->elementsPerChunk = chooseElementChunks(preparation, y.size);
  preparation->nanoseconds = 20 + (double)y.size * 0.12 + (double)indices.size * 1.5;
  return true;
}

void runGather(const Instruction* instruction, int64_t chunk, void*) {
  const Gather& g = *(const Gather*)instruction->parameters;
  const int32_t* table = (const int32_t*)instruction->inputs[0].data;
  const int32_t* indices = (const int32_t*)instruction->inputs[1].data;
  const Operand& output = instruction->outputs[0];
  int32_t* y = (int32_t*)output.data;
  int32_t missing = output.dtype == Dtype::float32 ? 0x7fc00000 : 0;
  int64_t from = chunk * g.elementsPerChunk, to = lesser(from + g.elementsPerChunk, output.size);
  int64_t position = from / g.row, offset = from % g.row;
  for (; from < to; position++, offset = 0) {
    int64_t n = lesser(g.row - offset, to - from);
    int64_t index = indices[position];
    if (index >= 0 && index < g.count)
      copyRun(y + from, table + index * g.row + offset, n);
    else
      fillRun(y + from, missing, n);
    from += n;
  }
}

// y[v, …] = the sum of updates[i, …] with indices[i] == v, each element starting from 0 and adding in ascending i.
// A chunk owns a range of columns of y, or of rows when they are short, and looks through all the indices for itself:
// nothing is shared, so the order of additions never depends on the threads.
struct Scatter {
  int64_t count, row;        // extents of y[count, row]
  bool byColumns;
  int64_t perChunk;          // columns or rows
};

bool prepareScatterAdd(Preparation* preparation) {
  Instruction* instruction = preparation->instruction;
  Scatter* s = (Scatter*)instruction->parameters;
  if (instruction->inputCount != 2 || instruction->outputCount != 1)
    return fail(preparation, "scatterAdd", "expected indices and updates as inputs, and one output");
  const Operand& indices = instruction->inputs[0];
  const Operand& updates = instruction->inputs[1];
  const Operand& y = instruction->outputs[0];
  if (y.rank < 1) return fail(preparation, "scatterAdd", "expected an output with at least one axis");
  if (indices.dtype != Dtype::int32) return fail(preparation, "scatterAdd", "expected int32 indices");
  if (updates.dtype != Dtype::float32 || y.dtype != Dtype::float32)
    return fail(preparation, "scatterAdd", "expected float32 updates and output");
  if (!isRowsOf(updates, indices, y))
    return fail(preparation, "scatterAdd", "expected updates of the indices' shape followed by the shape of an output row");
  s->count = y.shape[0];
  s->row = rowOf(y);
  preparation->nanoseconds = 20 + (double)y.size * 0.1 + (double)updates.size * 0.2 + (double)indices.size * 1.5;
  // Two pieces for each thread: more would only look through the indices more often.
  int64_t pieces = preparation->threads > 1 ? 2 * preparation->threads : 1;
  s->byColumns = s->row >= 64 * pieces;
  int64_t extent = s->byColumns ? s->row : s->count;
  int64_t grain = s->byColumns ? 16 : quotientUp(16, s->row > 0 ? s->row : 1);  // whole cache lines
  s->perChunk = quotientUp(quotientUp(extent, pieces), grain) * grain;
  instruction->chunks = y.size > 0 ? quotientUp(extent, s->perChunk) : 0;
  return true;
}

THALWEG_INLINE void addRun(float* y, const float* x, int64_t n) {
  int64_t i = 0;
  for (; i + kWidth <= n; i += kWidth) store(y + i, load(y + i) + load(x + i));
  for (; i < n; i++) y[i] += x[i];
}

void runScatterAdd(const Instruction* instruction, int64_t chunk, void*) {
  const Scatter& s = *(const Scatter*)instruction->parameters;
  const Operand& numbers = instruction->inputs[0];
  const int32_t* indices = (const int32_t*)numbers.data;
  const float* updates = (const float*)instruction->inputs[1].data;
  float* y = (float*)instruction->outputs[0].data;
  int64_t from = chunk * s.perChunk, to = lesser(from + s.perChunk, s.byColumns ? s.row : s.count);
  int64_t firstRow = s.byColumns ? 0 : from, endRow = s.byColumns ? s.count : to;
  int64_t firstColumn = s.byColumns ? from : 0, columns = s.byColumns ? to - from : s.row;
  if (columns == s.row) {
    memset(y + firstRow * s.row, 0, (size_t)((endRow - firstRow) * s.row) * sizeof *y);
  } else {
    for (int64_t row = firstRow; row < endRow; row++) memset(y + row * s.row + firstColumn, 0, (size_t)columns * sizeof *y);
  }
  for (int64_t i = 0; i < numbers.size; i++) {
    int64_t index = indices[i];
    if (index >= firstRow && index < endRow)
      addRun(y + index * s.row + firstColumn, updates + i * s.row + firstColumn, columns);
  }
}

// y[i, d] = indices[i] == d ? 1 : 0
struct OneHot {
  int64_t depth;
  int64_t rowsPerChunk;
};

bool prepareOneHot(Preparation* preparation) {
  Instruction* instruction = preparation->instruction;
  OneHot* o = (OneHot*)instruction->parameters;
  if (instruction->inputCount != 1 || instruction->outputCount != 1)
    return fail(preparation, "oneHot", "expected indices as input, and one output");
  const Operand& indices = instruction->inputs[0];
  const Operand& y = instruction->outputs[0];
  if (indices.dtype != Dtype::int32 || y.dtype != Dtype::float32)
    return fail(preparation, "oneHot", "expected int32 indices and a float32 output");
  bool fits = y.rank == indices.rank + 1;
  for (int64_t i = 0; fits && i < indices.rank; i++) fits = y.shape[i] == indices.shape[i];
  if (!fits) return fail(preparation, "oneHot", "expected an output of the indices' shape with one more axis");
  o->depth = y.shape[y.rank - 1];
  if (y.size == 0) return true;
  o->rowsPerChunk = quotientUp(chooseElementChunks(preparation, y.size), o->depth);
  instruction->chunks = quotientUp(indices.size, o->rowsPerChunk);
  preparation->nanoseconds = 20 + (double)y.size * 0.1 + (double)indices.size * 2;
  return true;
}

void runOneHot(const Instruction* instruction, int64_t chunk, void*) {
  const OneHot& o = *(const OneHot*)instruction->parameters;
  const int32_t* indices = (const int32_t*)instruction->inputs[0].data;
  float* y = (float*)instruction->outputs[0].data;
  int64_t from = chunk * o.rowsPerChunk, to = lesser(from + o.rowsPerChunk, instruction->inputs[0].size);
  memset(y + from * o.depth, 0, (size_t)((to - from) * o.depth) * sizeof *y);
  for (int64_t i = from; i < to; i++)
    if (indices[i] >= 0 && indices[i] < o.depth) y[i * o.depth + indices[i]] = 1.0f;
}

const Kernel kernels[] = {
    // name, parameters, prepare, run, finish
    {"gather", sizeof(Gather), prepareGather, runGather, nullptr},                // table indices -> y
    {"scatterAdd", sizeof(Scatter), prepareScatterAdd, runScatterAdd, nullptr},   // indices updates -> y
    {"oneHot", sizeof(OneHot), prepareOneHot, runOneHot, nullptr},                // indices -> y
};

}  // namespace

extern const KernelFamily indexingFamily;
const KernelFamily indexingFamily = {kernels, sizeof kernels / sizeof kernels[0]};

}  // namespace THALWEG_ISA
}  // namespace thalweg
