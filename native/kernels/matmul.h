// A matrix product, planned and computed: by the kernel `matmul`, and by others that use the product at once (matmulUpdate.cc).
#pragma once
#include "../simd/simd.h"
#include "chain.h"
#include "kernel.h"
#include "smallProduct.h"

namespace thalweg {
namespace THALWEG_ISA {

struct Matmul {
  int64_t batch, rows, columns, depth;
  int64_t aRow, aStep;      // a(i, k) is at i * aRow + k * aStep
  int64_t bStep, bColumn;   // b(k, j) is at k * bStep + j * bColumn
  bool aInPlace, bInPlace;  // read without packing
  bool swapped;             // y is one column: computed as the row b^T a^T, so a and b, and their strides, change places
  bool biased, chained;     // a bias is added, a chain follows
  bool inPieces;            // the chain need not wait for whole rows
  int64_t stripRows, panelVectors;  // of a whole tile
  int64_t depthBlock, rowBlock;
  int64_t batchPerChunk, rowsPerChunk, columnsPerChunk;
  int64_t batchChunks, rowChunks, columnChunks;
  int64_t packedPanels;     // where b's packed panels begin in `scratch`, in floats
  int64_t yRow;             // y(i, j) is at i * yRow + j
  int64_t block;            // where a block of rows of y lies in `scratch`, in floats, when it is not kept
  bool isSmall;             // one product, of few multiplications, which is one chunk: `small` says it all
  SmallProduct small;
  Chain chain;
};

// Whether the product, and not only a part of it, is wanted in memory.
enum class Result { kept, passedOn };

// Chooses how to compute y = a b, batch, rows, columns and depth being known, and says in `preparation` what it takes: chunks, scratch
// memory, time. (matmulPlan.cc)
void planMatmul(Preparation* preparation, Matmul* m, bool transposeA, bool transposeB, Result result);

// The rows and columns of a chunk, and the matrices of the batch. (matmulBlocks.cc, and so is what follows)
struct Rectangle {
  int64_t firstMatrix, endMatrix, row, rows, column, columns;
};
Rectangle rectangleOf(const Matmul& m, int64_t chunk);

// Takes each block of rows of a rectangle as soon as it is computed: `rows` rows from `row` on, counted from the rectangle's first, each
// m.yRow floats behind the one before. They are gone when it returns.
struct Receiver {
  void (*take)(void* context, int64_t row, int64_t rows, const float* y);
  void* context;
  // What `take` will change at the same rows and columns, and what is therefore fetched while they are computed: arrays of m.columns
  // columns, from the rectangle's first element on.
  int64_t arrayCount;
  const float* arrays[3];
};

// y[rows, columns] of one product; a, b, bias and y point to the rectangle's first row and column. With a receiver, y is null.
void multiplyRectangle(const Matmul& m, const float* a, const float* b, const float* bias, float* y, int64_t rows, int64_t columns,
                       float* scratch, const Receiver* receiver = nullptr);

// Runs the chain over rows x columns elements of the result, in place, from `y` on. scratch: its beginning, where packed strips of a may lie;
// only a chain that needs no tiles of its own runs before they are done with.
void applyChain(const Matmul& m, float* y, int64_t rows, int64_t columns, float* scratch);

}  // namespace THALWEG_ISA
}  // namespace thalweg
