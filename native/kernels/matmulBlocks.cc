// A rectangle of a product: cut into blocks, strips and panels as matmulPlan.cc says, packed where that is a gain, multiplied by micro-kernels.
//
// The structure is that of BLIS (Van Zee and van de Geijn, 2015). For each block of the depth (the chain of sums pauses in
// y between blocks, which is exact) and each block of rows:
//
//   a's block is packed in strips of kStripRows rows, [strip][k][row], which stay in the L2 cache;
//   b comes in panels of up to kPanelVectors vectors, [k][column], packed or, when that is no gain, in place;
//   a micro-kernel (matmulTiles.h) computes tiles of one strip by one panel with all its sums in registers.
//
// Where a is read in place, strips may be lower and panels wider (matmulPlan.cc). A row times a transposed b has neither (multiplyRow).
//
// Rows and columns may be padded in the packed copies. k never is: 0 * infinity would be added to the chain.
#include "matmul.h"

#include "matmulTiles.h"
#include "packing.h"
#include "support.h"

namespace thalweg {
namespace THALWEG_ISA {
namespace {

constexpr int64_t kPieceElements = 16 * 1024;  // of y, between its last sum and its chain

// --- A row, times a transposed b ---

// `squares * kSquare` neighbouring elements of a row of y, where b is transposed: its columns, contiguous in memory, are
// turned into vectors in registers.
template <int squares>
void multiplyTransposed(const Matmul& m, const float* a, const float* b, const float* bias, float* y) {
  SquareVector sum[squares];
  THALWEG_UNROLL for (int s = 0; s < squares; s++) sum[s] = splatSquareVector(0.0f);
  int64_t k = 0;
  for (; k + kSquare <= m.depth; k += kSquare) {
    THALWEG_UNROLL for (int s = 0; s < squares; s++) {
      SquareVector columns[kSquare];
      loadTransposed(b + s * kSquare * m.bColumn + k, m.bColumn, columns);
      THALWEG_UNROLL for (int n = 0; n < kSquare; n++) sum[s] = fma(splatSquareVector(a[(k + n) * m.aStep]), columns[n], sum[s]);
    }
  }
  for (; k < m.depth; k++) {
    for (int s = 0; s < squares; s++) {
      float column[kSquare];
      for (int i = 0; i < kSquare; i++) column[i] = b[(s * kSquare + i) * m.bColumn + k];
      sum[s] = fma(splatSquareVector(a[k * m.aStep]), loadSquareVector(column), sum[s]);
    }
  }
  THALWEG_UNROLL for (int s = 0; s < squares; s++) {
    if (bias != nullptr) sum[s] = sum[s] + (m.swapped ? splatSquareVector(*bias) : loadSquareVector(bias + s * kSquare));
    store(y + s * kSquare, sum[s]);
  }
}

// A row of y with a transposed b, columns >= kSquare.
void multiplyRow(const Matmul& m, const float* a, const float* b, const float* bias, float* y, int64_t columns) {
  for (int64_t j = 0; j < columns;) {
    int64_t rest = columns - j;
    // The last tile may begin before the end of the one before it, and compute some elements again.
    if (rest < kSquare) j = columns - kSquare;
    const float* biasHere = bias == nullptr || m.swapped ? bias : bias + j;
    if (rest >= 4 * kSquare) {
      multiplyTransposed<4>(m, a, b + j * m.bColumn, biasHere, y + j);
      j += 4 * kSquare;
    } else {
      multiplyTransposed<1>(m, a, b + j * m.bColumn, biasHere, y + j);
      j += kSquare;
    }
  }
}

// --- A block of rows, times all panels ---

// How many vectors the next panel takes of those that remain: as many as there may be, but two and two rather than three and one, for
// a tile of one vector has too few sums to keep the multipliers busy.
THALWEG_INLINE int64_t nextPanelVectors(const Matmul& m, int64_t vectors) {
  return vectors == m.panelVectors + 1 ? quotientUp(vectors, 2) : lesser(vectors, m.panelVectors);
}

// One block of a, `rows` rows at `a` of which `tiles` says where and how deep, times all columns.
// firstRows: the panels of this block of the depth are not packed yet; allPanels: they stay for other blocks of rows.
void multiplyBlock(const Matmul& m, Tiles& tiles, const float* b, const float* bias, float* y, int64_t rows,
                   int64_t columns, bool firstRows, bool allPanels, bool last, const float* unpacked, float* packedA, float* packed) {
  const float* a = tiles.a;
  const int64_t strips = rows / m.stripRows, rest = rows % m.stripRows, stripOfA = m.stripRows * m.aRow;
  const bool single = rows == 1 && m.aInPlace && m.bInPlace;
  const Strip strip = !m.aInPlace ? Strip::packed : m.aStep == 1 ? Strip::rows : Strip::columns;
  int64_t waiting = 0;  // the first column that waits for its chain
  for (int64_t column = 0, vectors = quotientUp(columns, kWidth); column < columns;) {
    const int64_t panelVectors = single && vectors > kWideRowVectors ? kWideRowVectors : nextPanelVectors(m, vectors);
    const int64_t count = lesser(columns - column, panelVectors * kWidth);
    const float* source = b + column * m.bColumn;
    // An incomplete last panel of few rows is read under a mask, and packed otherwise: reading on could leave b.
    const bool full = count == panelVectors * kWidth;
    const bool masked = kMaskedLoads && !full && m.aInPlace && m.bInPlace && rows <= 2 * kStripRows;
    const bool inPlace = m.bInPlace && (full || masked);
    const Panel use = masked ? Panel::masked : inPlace ? Panel::inPlace : Panel::packed;
    float* panel = allPanels ? packed + column * tiles.depth : packed;
    const bool packs = !inPlace && (firstRows || m.bInPlace);
    const bool fused = packs && m.bColumn == 1 && strips > 1 && (full || kMaskedLoads);
    if (packs && !fused) packPanel(source, m.bStep, m.bColumn, count, tiles.depth, panelVectors, panel);
    tiles.lastLanes = (int)(count - (panelVectors - 1) * kWidth);
    tiles.bias = last && bias != nullptr ? bias + (m.swapped ? 0 : column) : nullptr;
    // The next panel comes from the packed ones, or from rows of b. Columns of b the hardware fetches well enough.
    const bool nextPacked = allPanels && !firstRows, nextRows = m.bColumn == 1 && !nextPacked;
    const bool fetches = column + count < columns && (nextPacked || nextRows);
    tiles.next = !fetches ? source : nextPacked ? panel + count * tiles.depth : source + count;
    tiles.nextStep = !fetches ? 0 : nextPacked ? panelVectors * kWidth : m.bStep;
    // Few rows wait for a panel in place, so the first of them fetch it ahead: of a large matrix only where there is no whole strip,
    // which would fetch the next panel.
    const bool fetchesRows = inPlace && rows <= 2 * kStripRows && (strips == 0 || m.depth * m.columns <= kFloatsInL2);
    // The first panel's tiles follow the packing of their strips, group by group, and fetch the next group. Those of the
    // others fetch the columns of the next panel.
    const bool packsStrips = column == 0 && !m.aInPlace;
    const int64_t group = !packsStrips ? strips : m.aStep == 1 ? 1 : kStripsTogether<kStripRows>;
    const bool fetchesColumns = !packsStrips && packs && m.bColumn != 1 && column + count < columns;
    for (int64_t done = 0, ready = packsStrips ? 0 : strips; done < strips; done += tiles.strips) {
      tiles.soon = nullptr;
      if (done == ready) {
        ready = lesser(strips, done + group);
        packStrips<kStripRows>(unpacked + done * stripOfA, m.aRow, m.aStep, (ready - done) * kStripRows, tiles.depth,
                               packedA + done * tiles.aStrip);
      }
      if (packsStrips && ready < strips) {
        tiles.soon = unpacked + (done + group) * stripOfA;
        tiles.soonStrip = stripOfA;
        tiles.soonRow = m.aStep == 1 ? m.aRow : m.aStep;
        tiles.soonStep = 8 * m.aStep;
      } else if (fetchesColumns && done == 0) {
        tiles.soon = source + count * m.bColumn;
        tiles.soonStrip = 8 * m.bColumn;
        tiles.soonRow = m.bColumn;
        tiles.soonStep = 8;
      }
      const bool packing = fused && done == 0;
      tiles.fetchesAhead = fetchesRows && done == 0;
      tiles.a = a + done * tiles.aStrip;
      tiles.y = y + done * m.stripRows * m.yRow + column;
      tiles.strips = packing ? 1 : fetchesColumns && done == 0 ? lesser(strips, quotientUp(panelVectors * kWidth, 8)) : ready - done;
      tiles.b = inPlace || packing ? source : panel;
      tiles.bStep = inPlace || packing ? m.bStep : panelVectors * kWidth;
      tiles.packed = panel;
      (packing ? choosePackingTiles(strip, !full, panelVectors) : chooseTiles(strip, use, m.stripRows, panelVectors))(tiles);
    }
    if (rest > 0) {
      if (column == 0 && !m.aInPlace)
        packStrips<kStripRows>(unpacked + strips * stripOfA, m.aRow, m.aStep, rest, tiles.depth,
                               packedA + strips * tiles.aStrip);
      tiles.a = a + strips * tiles.aStrip;
      tiles.b = inPlace ? source : panel;
      tiles.bStep = inPlace ? m.bStep : panelVectors * kWidth;
      tiles.soon = nullptr;
      tiles.fetchesAhead = fetchesRows && strips == 0;
      tiles.y = y + strips * m.stripRows * m.yRow + column;
      tiles.strips = 1;
      chooseTiles(strip, use, rest, panelVectors)(tiles);
    }
    column += count;
    vectors -= panelVectors;
    if (last && m.chained && (column == columns || (m.inPieces && (column - waiting) * rows >= kPieceElements))) {
      applyChain(m, y + waiting, rows, column - waiting, packed - m.packedPanels);
      waiting = column;
    }
  }
}

// What a receiver will need of its arrays for a block of rows, in as many parts as the micro-kernels have groups of steps.
Fetch fetchOf(const Matmul& m, const Receiver& receiver, int64_t row, int64_t rows, int64_t columns) {
  Fetch f = {receiver.arrayCount, {}, rows, columns, m.columns, 0, 0};
  for (int64_t i = 0; i < f.arrayCount; i++) f.arrays[i] = receiver.arrays[i] + row * m.columns;
  const int64_t groups = rows / m.stripRows * quotientUp(columns, m.panelVectors * kWidth) * (m.depth / kFetchStrips);
  f.lines = quotientUp(rows * quotientUp(columns, 16), greaterOf(1, groups));
  return f;
}

}  // namespace

// --- The rectangle ---

Rectangle rectangleOf(const Matmul& m, int64_t chunk) {
  int64_t column = 0, row = 0, matrix = 0;
  if (chunk > 0) {  // divisions take longer than a tiny product
    column = chunk % m.columnChunks * m.columnsPerChunk;
    row = chunk / m.columnChunks % m.rowChunks * m.rowsPerChunk;
    matrix = chunk / m.columnChunks / m.rowChunks * m.batchPerChunk;
  }
  return {matrix, lesser(matrix + m.batchPerChunk, m.batch), row, lesser(m.rows - row, m.rowsPerChunk),
          column, lesser(m.columns - column, m.columnsPerChunk)};
}

void multiplyRectangle(const Matmul& m, const float* a, const float* b, const float* bias, float* y, int64_t rows,
                       int64_t columns, float* scratch, const Receiver* receiver) {
  if (m.rows == 1 && m.bColumn != 1 && columns >= kSquare) {
    multiplyRow(m, a, b, bias, y, columns);
    if (m.chained) applyChain(m, y, 1, columns, scratch);
    return;
  }
  int64_t k = 0;
  do {
    const int64_t depth = lesser(m.depth - k, m.depthBlock);
    for (int64_t row = 0; row < rows; row += m.rowBlock) {
      const int64_t blockRows = lesser(rows - row, m.rowBlock);
      const float* block = a + row * m.aRow + k * m.aStep;
      float* target = receiver == nullptr ? y + row * m.yRow : scratch + m.block;
      Fetch fetch;
      Tiles tiles;
      tiles.meanwhile = nullptr;
      if (receiver != nullptr && receiver->arrayCount > 0) {
        fetch = fetchOf(m, *receiver, row, blockRows, columns);
        tiles.meanwhile = &fetch;
      }
      tiles.a = m.aInPlace ? block : scratch;
      tiles.aStrip = m.stripRows * (m.aInPlace ? m.aRow : depth);
      tiles.aRow = m.aRow;
      tiles.aStep = m.aStep;
      tiles.depth = depth;
      tiles.yRow = m.yRow;
      tiles.first = k == 0;
      tiles.oneBias = m.swapped;
      // With several blocks of rows the first one packs all panels, side by side; a single one has them take turns
      // in the same memory, which stays in the cache.
      multiplyBlock(m, tiles, b + k * m.bStep, bias, target, blockRows, columns, row == 0,
                    rows > m.rowBlock && !m.bInPlace, k + depth == m.depth, block, scratch, scratch + m.packedPanels);
      if (receiver != nullptr) receiver->take(receiver->context, row, blockRows, target);
    }
    k += depth;
  } while (k < m.depth);
}

void applyChain(const Matmul& m, float* y, int64_t rows, int64_t columns, float* scratch) {
  if (columns == m.columns) {
    columns *= rows;
    rows = 1;
  }
  runChain(m.chain, y - m.chain.y, columns, rows, m.columns, scratch);
}

}  // namespace THALWEG_ISA
}  // namespace thalweg
