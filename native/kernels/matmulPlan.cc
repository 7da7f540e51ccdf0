// Chooses how a product is computed: what is packed, how deep and how tall the blocks are, how the work is cut for several threads.
#include "matmul.h"

#include "matmulTiles.h"
#include "support.h"

namespace thalweg {
namespace THALWEG_ISA {
namespace {

// kBlockElements is the size of a packed block of a, which should fill half of the L2 cache.
// kBlockRows: so few rows make a block when all panels of b stay in the L2 cache, of which AVX-512 machines have 1 or
// 2 MB: kMostColumns bounds them. Elsewhere the block stays, and the panels take turns.
// kShallowDepth: a product no deeper waits for its result to be written, which goes faster in the order of memory: in
// blocks of kShallowBlockRows rows.
// kFewColumnsOfA: with as many, reading rows of a in place costs less than packing them; of a transposed a, if it is no
// deeper than kFewStepsOfA, or no larger than kFewElementsOfA.
// kFewRows: with as many, reading b in place costs less than packing it. kFewRowsOfLarge: for a b larger than the L2 cache.
#if defined(THALWEG_ISA_AVX512)
constexpr int64_t kBlockElements = 128 * 1024, kBlockRows = 64, kMostColumns = 1024;
constexpr int64_t kShallowDepth = 128, kShallowBlockRows = 32, kFewColumnsOfA = 256, kFewStepsOfA = 64, kFewElementsOfA = 104 * 1024;
constexpr int64_t kFewRows = 64, kFewRowsOfLarge = 16;
constexpr double kNanosecondsPerProduct = 0.014;
#elif defined(THALWEG_ISA_AVX2)
constexpr int64_t kBlockElements = 72 * 1024, kBlockRows = INT32_MAX, kMostColumns = 2304;
constexpr int64_t kShallowDepth = 0, kShallowBlockRows = INT32_MAX, kFewColumnsOfA = 0, kFewStepsOfA = 0, kFewElementsOfA = 0;
constexpr int64_t kFewRows = 16, kFewRowsOfLarge = 16;
constexpr double kNanosecondsPerProduct = 0.022;
#elif defined(THALWEG_ISA_NEON)
constexpr int64_t kBlockElements = 72 * 1024, kBlockRows = INT32_MAX, kMostColumns = 2304;
constexpr int64_t kShallowDepth = 0, kShallowBlockRows = INT32_MAX, kFewColumnsOfA = 0, kFewStepsOfA = 0, kFewElementsOfA = 0;
constexpr int64_t kFewRows = 16, kFewRowsOfLarge = 16;
constexpr double kNanosecondsPerProduct = 0.05;
#else
constexpr int64_t kBlockElements = 72 * 1024, kBlockRows = INT32_MAX, kMostColumns = 2304;
constexpr int64_t kShallowDepth = 0, kShallowBlockRows = INT32_MAX, kFewColumnsOfA = 0, kFewStepsOfA = 0, kFewElementsOfA = 0;
constexpr int64_t kFewRows = 16, kFewRowsOfLarge = 16;
constexpr double kNanosecondsPerProduct = 4;
#endif
constexpr int64_t kFewStepsOfWidePanel = 64;
constexpr int64_t kFewColumns = kWidth >= 8 ? 32 : 4 * kWidth;  // with as many, an element of a is used too rarely to pack it
constexpr int64_t kDepthBlock = 384;           // of a packed panel
constexpr int64_t kTransposedDepthBlock = kWidth == 16 ? 512 : kDepthBlock;  // where b is transposed
constexpr int64_t kMostTransposed = 2304;      // columns of a chunk where b is transposed: bounds its packed copy
constexpr int64_t kSmallMatrix = 16 * 1024;    // elements: it stays in the L1 and L2 caches, packing is no gain
constexpr int64_t kShallowBlock = 48;          // depth of a block of a large matrix read in place
constexpr int64_t kTinyProduct = 8 * 1024;     // multiplications: packing a is no gain
constexpr int64_t kPassedElements = 32 * 1024;  // of a block of rows that is passed on: it stays in the L2 cache, with what it is for
// Estimates, per element.
constexpr double kNanosecondsPerPacked = 0.3;
constexpr double kNanosecondsInPlace = 0.2;    // of a
constexpr double kNanosecondsOfLargeB = 0.08;  // in place
constexpr double kNanosecondsTransposed = 0.07;
// By what a cut across the columns multiplies the time, beside the packing: cores that work on neighbouring parts of the same rows fetch lines of each
// other's, and rows of y do not stay with the core that makes them.
constexpr double kColumnCut = 1.2;
// Less in the product of a layer whose weights fit the L2 cache: each core then reads half of what the other has just updated, and all of a, as it will once
// more for the weight gradient. With AVX2 that gained nothing.
constexpr double kColumnCutOfLayer = kWidth == 16 ? 1 : kColumnCut, kColumnCutWherePacked = kWidth == 16 ? 1.1 : kColumnCut;

double columnCutFactor(const Matmul& m, Result result) {
  const bool isOfLayer = result == Result::kept && m.batch == 1 && m.aStep == 1 && m.bColumn == 1 && m.depth * m.columns <= kFloatsInL2;
  return !isOfLayer ? kColumnCut : m.bInPlace ? kColumnCutOfLayer : kColumnCutWherePacked;
}

// One thread, nanoseconds: a rectangle of `matrices` products.
double rectangleCost(const Matmul& m, int64_t matrices, int64_t rows, int64_t columns) {
  double nanosecondsOfA = m.aInPlace ? kNanosecondsInPlace : kNanosecondsPerPacked, nanosecondsOfB = 0;
  if (m.rows == 1 && m.bColumn != 1) {
    nanosecondsOfB = kNanosecondsTransposed;
  } else if (!m.bInPlace) {
    nanosecondsOfB = kNanosecondsPerPacked;
  } else if (m.depth * m.columns > kSmallMatrix) {
    nanosecondsOfB = kNanosecondsOfLargeB;
  }
  double tiles = (double)roundedUp(rows, rows < kStripRows ? 1 : kStripRows) * (double)roundedUp(columns, kWidth);
  if (columns <= kWidth && m.columns > kWidth) tiles *= 1.5;  // too few sums at once
  double moved = (double)rows * nanosecondsOfA + (double)columns * nanosecondsOfB;
  return (double)matrices * ((double)m.depth * (tiles * kNanosecondsPerProduct + moved) + 30);
}

// Cuts the work into rectangles. Every cut across the rows packs b once more, and one across the columns a. The cost
// of an arrangement is the time of the thread with the most chunks, and a part of a chunk more, for threads do not
// finish together: many chunks balance better, few pack less.
struct ChunkChoice {
  Matmul* m;
  int64_t threads;
  Result result;
  double best;  // negative: none yet

  // Chunks end where strips of kStripRows end, and cache lines of y.
  void consider(int64_t batchChunks, int64_t rowChunks, int64_t columnChunks) {
    Matmul c = *m;
    c.batchPerChunk = quotientUp(c.batch, batchChunks);
    c.rowsPerChunk = rowChunks == 1 ? c.rows : roundedUp(quotientUp(c.rows, rowChunks), kStripRows);
    c.columnsPerChunk = columnChunks == 1 ? c.columns : roundedUp(quotientUp(c.columns, columnChunks), 16);
    c.batchChunks = quotientUp(c.batch, c.batchPerChunk);
    c.rowChunks = quotientUp(c.rows, c.rowsPerChunk);
    c.columnChunks = quotientUp(c.columns, c.columnsPerChunk);
    c.aInPlace |= c.columnsPerChunk <= kFewColumns && (c.aStep == 1 || c.columns <= kFewColumns);
    double chunk = rectangleCost(c, c.batchPerChunk, c.rowsPerChunk, c.columnsPerChunk) + 500;
    double cost = chunk * ((double)quotientUp(c.batchChunks * c.rowChunks * c.columnChunks, threads) + 0.3);
    if (c.columnChunks > 1) cost *= columnCutFactor(c, result);
    if (best >= 0 && cost >= best) return;
    best = cost;
    *m = c;
  }
};

void chooseChunks(Matmul* m, int64_t threads, Result result) {
  ChunkChoice choice = {m, threads, result, -1};
  const int64_t leastColumnChunks = m->bInPlace ? 1 : quotientUp(m->columns, m->bColumn == 1 ? kMostColumns : kMostTransposed);
  const int64_t most = 8 * threads;
  choice.consider(1, 1, leastColumnChunks);
  if (threads == 1) return;
  if (m->batch >= most / 2) {
    for (int64_t n = most / 2; n <= lesser(m->batch, most); n++) choice.consider(n, 1, leastColumnChunks);
    return;
  }
  const int64_t strips = quotientUp(m->rows, kStripRows), lines = quotientUp(m->columns, 16);
  for (int64_t c = leastColumnChunks; c <= greaterOf(lesser(lines, most), leastColumnChunks); c++)
    for (int64_t r = 1; r <= lesser(strips, most) && (r == 1 || m->batch * r * c <= most); r++)
      choice.consider(m->batch, r, c);
}

}  // namespace

void planMatmul(Preparation* preparation, Matmul* m, bool transposeA, bool transposeB, Result result) {
  m->aRow = transposeA ? 1 : m->depth;
  m->aStep = transposeA ? m->rows : 1;
  m->bStep = transposeB ? 1 : m->columns;
  m->bColumn = transposeB ? m->depth : 1;
  if (m->columns == 1 && m->rows > 1 && (transposeA || m->rows >= kSquare)) {
    m->swapped = true;
    int64_t aRow = m->aRow, aStep = m->aStep;
    m->aRow = m->bColumn;
    m->aStep = m->bStep;
    m->bStep = aStep;
    m->bColumn = aRow;
    m->columns = m->rows;
    m->rows = 1;
  }
  m->small = {m->rows, m->columns, m->depth, m->aRow, m->aStep, m->bStep, m->swapped};
  m->isSmall = result == Result::kept && m->batch == 1 && m->bColumn == 1 && isSmall(m->small);
  double products = (double)m->rows * (double)m->columns * (double)m->depth;
  const bool readsAWell = m->aStep == 1 || (result == Result::kept && (m->depth <= kFewStepsOfA || m->rows * m->depth <= kFewElementsOfA));
  m->aInPlace = m->rows == 1 || products <= kTinyProduct || (m->columns <= kFewColumnsOfA && readsAWell);
  const int64_t fewRows = m->depth * m->columns > kFloatsInL2 ? kFewRowsOfLarge : kFewRows;
  m->bInPlace = m->bColumn == 1 && (m->rows <= fewRows || m->depth * m->columns <= kSmallMatrix);
  chooseChunks(m, m->isSmall ? 1 : preparation->threads, result);

  // Wide tiles are for an a in place: packed strips have kStripRows rows. They read a panel once for six rows instead of eight, which pays
  // where a is transposed, so that b is small as a rule, and where one panel is all columns, which would else be cut into two of two vectors,
  // unless it has to be transposed and would fill the L1 cache.
  const int64_t widePanel = greaterOf(1, kWidePanelVectors * kWidth);
  const bool wide = kWideStripRows > 0 && result == Result::kept && m->aInPlace && m->rowsPerChunk >= kWideStripRows &&
                    m->columns % widePanel == 0 && m->columnsPerChunk % widePanel == 0 &&
                    (m->aStep != 1 || (m->columnsPerChunk == widePanel && (m->bColumn == 1 || m->depth <= kFewStepsOfWidePanel)));
  m->stripRows = wide ? kWideStripRows : kStripRows;
  m->panelVectors = wide ? kWidePanelVectors : kPanelVectors;

  // Blocks of equal size. A block of the depth is a multiple of eight, for the micro-kernels take eight steps at once.
  // A large matrix read in place is read in shallow blocks, which is nearly in the order of memory.
  int64_t mostDepth = m->bColumn == 1 ? kDepthBlock : kTransposedDepthBlock;
  if (m->bInPlace && m->depth * m->columns > kFloatsInL2) {
    mostDepth = kShallowBlock;
  } else if (m->bInPlace && m->aInPlace) {
    mostDepth = 8 * kDepthBlock;
  }
  if (result == Result::passedOn) mostDepth = greaterOf(1, m->depth);  // sums do not wait in a block that is passed on
  m->depthBlock = roundedUp(quotientUp(m->depth, greaterOf(1, quotientUp(m->depth, mostDepth))), 8);
  int64_t rowBlocks = 1;
  if (!m->aInPlace && m->rowsPerChunk * m->depthBlock > kBlockElements + kBlockElements / 3)
    rowBlocks = quotientUp(m->rowsPerChunk * m->depthBlock, kBlockElements);
  // NOTE: not where b is transposed: there a single block was 2 to 4 % faster.
  const bool shallow = m->depth <= kShallowDepth;
  if (!m->aInPlace && m->bColumn == 1 && (shallow || !m->bInPlace))
    rowBlocks = greaterOf(rowBlocks, quotientUp(m->rowsPerChunk, shallow ? kShallowBlockRows : kBlockRows));
  m->yRow = m->columns;
  if (result == Result::passedOn) {
    // Rows that adjoin are one run for who takes them; those of a cut have a line between them, so that rows of a power of two spread in
    // the cache.
    if (m->columnChunks > 1) m->yRow = m->columnsPerChunk + 16;
    rowBlocks = greaterOf(rowBlocks, quotientUp(m->rowsPerChunk * m->yRow, kPassedElements));
  }
  m->rowBlock = roundedUp(quotientUp(m->rowsPerChunk, rowBlocks), m->stripRows);

  const int64_t panelColumns = m->panelVectors * kWidth;
  int64_t panelsTogether = m->rowBlock < m->rowsPerChunk && !m->bInPlace
                               ? greaterOf(roundedUp(m->columnsPerChunk, kWidth), panelColumns) : panelColumns;
  // The chain's tiles lie where a's strips were: it runs on whole rows, when they are done with.
  m->packedPanels = roundedUp(greaterOf(m->aInPlace ? 0 : m->rowBlock * m->depthBlock,
                                        m->chain.scratchBytes / (int64_t)sizeof(float)), 16);
  m->block = m->packedPanels + roundedUp(panelsTogether * m->depthBlock, 16);
  preparation->scratchBytes = (m->block + (result == Result::passedOn ? m->rowBlock * m->yRow : 0)) * (int64_t)sizeof(float);
  preparation->nanoseconds = rectangleCost(*m, m->batch, m->rows, m->columns);
  preparation->instruction->chunks = m->batchChunks * m->rowChunks * m->columnChunks;
}

}  // namespace THALWEG_ISA
}  // namespace thalweg
