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
// The structure is that of BLIS (Van Zee and van de Geijn, 2015). For each block of the depth (the chain pauses in
// y between blocks, which is exact) and each block of rows:
//
//   a's block is packed in strips of kStripRows rows, [strip][k][row], which stay in the L2 cache;
//   b comes in panels of up to kPanelVectors vectors, [k][column], packed or, when that is no gain, in place;
//   a micro-kernel computes tiles of one strip by one panel with all its sums in registers.
//
// Where a is read in place, strips may be lower and panels wider (matmulPlan.cc).
//
// Rows and columns may be padded in the packed copies. k never is: 0 * infinity would be added to the chain.
#include "matmul.h"

#include <stdio.h>

#include "packing.h"
#include "support.h"

namespace thalweg {
namespace THALWEG_ISA {
namespace {

constexpr bool kMaskedLoads = kWidth >= 8;     // loadPartial is one instruction
constexpr int kWideRowVectors = 12;            // of a tile of one row, which waits for b rather than for registers
constexpr int64_t kRowsAhead = 8;              // of a panel in place, between fetching and multiplying
constexpr int64_t kFetchStrips = 8;            // so many strips fetch the next panel, each its part of the rows
constexpr int64_t kPieceElements = 16 * 1024;  // of y, between its last sum and its chain

// --- Micro-kernels ---

// Rows of several arrays, of which each group of steps of the micro-kernel fetches some lines into the L2 cache.
struct Fetch {
  int64_t arrayCount;
  const float* arrays[3];         // where the first row begins that is not fetched wholly
  int64_t rows, columns, stride;  // so many rows are left, of so many columns, that far apart
  int64_t column;                 // up to which the first of them is fetched
  int64_t lines;                  // of each array, at a time
};

THALWEG_INLINE void fetchSome(Fetch* f) {
  for (int64_t n = 0; n < f->lines && f->rows > 0; n++) {
    for (int64_t i = 0; i < f->arrayCount; i++) __builtin_prefetch(f->arrays[i] + f->column, 0, 2);
    f->column += 16;
    if (f->column < f->columns) continue;
    for (int64_t i = 0; i < f->arrayCount; i++) f->arrays[i] += f->stride;
    f->column = 0;
    f->rows--;
  }
}

// A column of tiles: `strips` strips of the same height against one panel.
struct Tiles {
  const float* a;     // a(i, k) of strip s is at s * aStrip + i * aRow + k * aStep
  int64_t aStrip, aRow, aStep;
  const float* b;     // row k of the panel is at k * bStep
  int64_t bStep;
  float* packed;      // where the first strip leaves the panel it reads in place; for the micro-kernels that pack
  int64_t depth;
  float* y;
  int64_t yRow;
  int64_t strips;
  int lastLanes;      // 1 … kWidth: how many lanes of a row's last vector exist in y and bias
  bool first;         // the chain starts here, with 0
  const float* bias;  // added at the end, unless null
  bool oneBias;       // the same for all columns
  const float* next;  // `depth` rows the next panel will be made of, to be fetched into the L2 cache meanwhile
  int64_t nextStep;
  bool fetchesAhead;  // the first strip fetches the rows of a panel in place before it comes to them
  // Null, or what will be packed soon as strips of a, to be fetched meanwhile: element (i, k) of strip s is at
  // s * soonStrip + i * soonRow + k * soonStep, for 8 i.
  const float* soon;
  int64_t soonStrip, soonRow, soonStep;
  Fetch* meanwhile;   // null, or what else is fetched
};

using TilesFunction = void (*)(const Tiles& tiles);

// How a micro-kernel finds the elements of its strip of a. One stride is always in the code: with both of them in registers there are too few for
// the addresses of eight rows, and those that lie in vector registers keep a multiplier busy.
enum class Strip {
  packed,
  rows,     // in place, and the steps of a row are neighbours
  columns,  // in place, and the rows of a step are neighbours
};

// How a micro-kernel comes by its panel.
enum class Panel {
  packed,
  inPlace,
  masked,         // in place, and the last vector has lastLanes elements
  packing,        // in place, and the rows are stored in the packed panel on the way: there is time for that
  maskedPacking,
};
constexpr bool isMasked(Panel panel) { return panel == Panel::masked || panel == Panel::maskedPacking; }
constexpr bool isPacking(Panel panel) { return panel == Panel::packing || panel == Panel::maskedPacking; }

// Where a micro-kernel is in its strip. Rows in place have a pointer for every three of them: from it, one register with the distance of two rows reaches all.
template <Strip strip>
struct Place {
  static constexpr int kBases = strip == Strip::rows ? (kStripRows + 2) / 3 : 1;
  const float* bases[kBases];
  int64_t row, step;  // strides

  THALWEG_INLINE Place at(const float* a, int64_t row, int64_t step) {
    Place p = {{}, row, step};
    for (int n = 0; n < kBases; n++) {
      p.bases[n] = a + 3 * n * row;
      // NOTE: keeps g++ from making a register, or worse, of each of the distances again.
      asm("" : "+r"(p.bases[n]));
    }
    return p;
  }
  THALWEG_INLINE const float& element(const Place& p, int i, int k) {
    return strip == Strip::rows ? p.bases[i / 3][i % 3 * p.row + k] : p.bases[0][k * p.step + i];
  }
  THALWEG_INLINE void advance(Place* p, int64_t steps) {
    for (int n = 0; n < kBases; n++) p->bases[n] += steps * p->step;
  }
};

// sum(i, v) = a(i, k) * b(v) + sum(i, v).
template <Strip strip, Panel panel, int rows, int vectors>
THALWEG_INLINE void addProducts(Float (&sum)[rows][vectors], const Place<strip>& a, int k, const float* b, float* packed, int lastLanes) {
  Float row[vectors];
  THALWEG_UNROLL for (int v = 0; v < vectors; v++) {
    row[v] = isMasked(panel) && v == vectors - 1 ? loadPartial(b + v * kWidth, lastLanes) : load(b + v * kWidth);
    if constexpr (isPacking(panel)) store(packed + v * kWidth, row[v]);
  }
#if defined(THALWEG_ISA_NEON)
  // The instruction takes its factor from a lane, which saves a broadcast for each element.
  if constexpr (strip != Strip::rows && rows % 4 == 0) {
    THALWEG_UNROLL for (int i = 0; i < rows; i += 4) {
      float32x4_t elements = vld1q_f32(&Place<strip>::element(a, i, k));
      THALWEG_UNROLL for (int v = 0; v < vectors; v++) {
        sum[i][v].v = vfmaq_laneq_f32(sum[i][v].v, row[v].v, elements, 0);
        sum[i + 1][v].v = vfmaq_laneq_f32(sum[i + 1][v].v, row[v].v, elements, 1);
        sum[i + 2][v].v = vfmaq_laneq_f32(sum[i + 2][v].v, row[v].v, elements, 2);
        sum[i + 3][v].v = vfmaq_laneq_f32(sum[i + 3][v].v, row[v].v, elements, 3);
      }
    }
    return;
  }
#endif
  THALWEG_UNROLL for (int i = 0; i < rows; i++) {
    Float element = splat(Place<strip>::element(a, i, k));
    THALWEG_UNROLL for (int v = 0; v < vectors; v++) sum[i][v] = fma(element, row[v], sum[i][v]);
  }
}

// The same for `steps` consecutive k from `k` on.
template <int steps, Strip strip, Panel panel, int rows, int vectors>
THALWEG_INLINE void addSteps(Float (&sum)[rows][vectors], const Place<strip>& a, int k, const float* b, int64_t bStep, float* packed,
                             int lastLanes) {
  addProducts<strip, panel>(sum, a, k, b, packed, lastLanes);
#if defined(THALWEG_ISA_NEON)
  // NOTE: keeps g++ from loading ahead across steps, for which there are no registers left.
  asm volatile("" ::: "memory");
#endif
  if constexpr (steps > 1) addSteps<steps - 1, strip, panel>(sum, a, k + 1, b + bStep, bStep, packed + vectors * kWidth, lastLanes);
}

// A packed operand has its strides in the code, which saves address arithmetic in the inner loop.
template <int rows, int vectors, Strip strip, Panel panel>
void computeTiles(const Tiles& t) {
  constexpr int kSteps = strip == Strip::packed && rows == kStripRows ? 8 : 2, kPackedStep = isPacking(panel) ? vectors * kWidth : 0;
  const int64_t aRow = strip == Strip::rows ? t.aRow : 1, aStep = strip == Strip::packed ? rows : strip == Strip::rows ? 1 : t.aStep;
  const int64_t bStep = panel == Panel::packed ? vectors * kWidth : t.bStep;
  const float* first = t.a;
  float* y = t.y;
  for (int64_t s = 0; s < t.strips; s++, first += t.aStrip, y += rows * t.yRow) {
    Float sum[rows][vectors];
    if (t.first) {
      THALWEG_UNROLL for (int i = 0; i < rows; i++)
        THALWEG_UNROLL for (int v = 0; v < vectors; v++) sum[i][v] = splat(0.0f);
    } else {
      THALWEG_UNROLL for (int i = 0; i < rows; i++)
        THALWEG_UNROLL for (int v = 0; v < vectors; v++)
          sum[i][v] = loadColumn<vectors>(y + i * t.yRow, v, t.lastLanes);
    }
    // What is only written is not fetched: a store of a whole line needs nothing of what it was.
    if (!t.first && s + 1 < t.strips) {
      for (int i = 0; i < rows; i++)
        for (int c = 0; c < vectors * kWidth; c += 16) __builtin_prefetch(y + (rows + i) * t.yRow + c, 1);
    }
    // Strips without a share in the next panel fetch their own first element again and again, which is cheap.
    const bool fetches = s < kFetchStrips;
    const float* next = fetches ? t.next + s * (t.depth / kFetchStrips) * t.nextStep : first;
    const int64_t nextStep = fetches ? t.nextStep : 0;
    auto a = Place<strip>::at(first, aRow, aStep);
    const float* b = t.b;
    const bool ahead = panel != Panel::packed && t.fetchesAhead && s == 0;
    float* packed = t.packed;
    const float* soon = t.soon == nullptr ? nullptr : t.soon + s * t.soonStrip;
    int64_t k = t.depth;
    for (; k >= kSteps; k -= kSteps, Place<strip>::advance(&a, kSteps), b += kSteps * bStep, packed += kSteps * kPackedStep) {
      if (ahead) {
        THALWEG_UNROLL for (int n = 0; n < kSteps; n++)
          THALWEG_UNROLL for (int c = 0; c < vectors * kWidth; c += 16) __builtin_prefetch(b + (kRowsAhead + n) * bStep + c);
      }
      if constexpr (kSteps == kFetchStrips) {
        for (int c = 0; c < vectors * kWidth; c += 16) __builtin_prefetch(next + c, 0, 2);
        next += nextStep;
        if (t.meanwhile != nullptr) fetchSome(t.meanwhile);
        if (soon != nullptr) {
          for (int i = 0; i < 8; i++) __builtin_prefetch(soon + i * t.soonRow);
          soon += t.soonStep;
        }
      }
      addSteps<kSteps, strip, panel>(sum, a, 0, b, bStep, packed, t.lastLanes);
    }
    for (; k > 0; k--, Place<strip>::advance(&a, 1), b += bStep, packed += kPackedStep)
      addProducts<strip, panel>(sum, a, 0, b, packed, t.lastLanes);
    if (t.bias != nullptr) {
      THALWEG_UNROLL for (int v = 0; v < vectors; v++) {
        Float bias = t.oneBias ? splat(*t.bias) : loadColumn<vectors>(t.bias, v, t.lastLanes);
        THALWEG_UNROLL for (int i = 0; i < rows; i++) sum[i][v] = sum[i][v] + bias;
      }
    }
    THALWEG_UNROLL for (int i = 0; i < rows; i++)
      THALWEG_UNROLL for (int v = 0; v < vectors; v++) storeColumn<vectors>(y + i * t.yRow, v, t.lastLanes, sum[i][v]);
  }
}

// The micro-kernel for so many rows and 1 <= vectors <= kPanelVectors, or a wide panel, which is never masked.
template <int rows, Strip strip, Panel panel>
TilesFunction tilesOfHeight(int64_t vectors) {
  if constexpr (rows <= kWideStripRows && strip != Strip::packed && !isMasked(panel)) {
    if (vectors == kWidePanelVectors) return computeTiles<rows, kWidePanelVectors, strip, panel>;
  }
  return vectors == 1   ? computeTiles<rows, 1, strip, panel>
         : vectors == 2 ? computeTiles<rows, 2, strip, panel>
                        : computeTiles<rows, 3, strip, panel>;
}

// The same for 1 <= rows <= most.
template <int most, Strip strip, Panel panel>
TilesFunction tilesFunction(int64_t rows, int64_t vectors) {
  if constexpr (most == 0) {
    return nullptr;
  } else {
    return rows == most ? tilesOfHeight<most, strip, panel>(vectors) : tilesFunction<most - 1, strip, panel>(rows, vectors);
  }
}

template <Strip strip>
TilesFunction chooseTiles(Panel panel, int64_t rows, int64_t vectors) {
  if constexpr (strip == Strip::packed) {
    if (panel == Panel::packed) return tilesFunction<kStripRows, strip, Panel::packed>(rows, vectors);
  } else if constexpr (kMaskedLoads) {
    if (panel == Panel::masked) return tilesFunction<kStripRows, strip, Panel::masked>(rows, vectors);
  }
  // A packed panel too, where the strip is in place.
  return tilesFunction<kStripRows, strip, Panel::inPlace>(rows, vectors);
}

TilesFunction chooseTiles(Strip strip, Panel panel, int64_t rows, int64_t vectors) {
  if (vectors == kWideRowVectors)
    return strip == Strip::rows ? computeTiles<1, kWideRowVectors, Strip::rows, Panel::inPlace>
                                : computeTiles<1, kWideRowVectors, Strip::columns, Panel::inPlace>;
  return strip == Strip::packed ? chooseTiles<Strip::packed>(panel, rows, vectors)
         : strip == Strip::rows ? chooseTiles<Strip::rows>(panel, rows, vectors)
                                : chooseTiles<Strip::columns>(panel, rows, vectors);
}

// One strip, packing its panel.
template <Strip strip>
TilesFunction choosePackingTiles(bool masked, int64_t vectors) {
  if constexpr (kWideStripRows > 0 && strip != Strip::packed) {
    if (vectors == kWidePanelVectors) return tilesOfHeight<kWideStripRows, strip, Panel::packing>(vectors);
  }
  if constexpr (kMaskedLoads) {
    if (masked) return tilesOfHeight<kStripRows, strip, Panel::maskedPacking>(vectors);
  }
  return tilesOfHeight<kStripRows, strip, Panel::packing>(vectors);
}

TilesFunction choosePackingTiles(Strip strip, bool masked, int64_t vectors) {
  return strip == Strip::packed ? choosePackingTiles<Strip::packed>(masked, vectors)
         : strip == Strip::rows ? choosePackingTiles<Strip::rows>(masked, vectors)
                                : choosePackingTiles<Strip::columns>(masked, vectors);
}

// --- One rectangle of one product ---

// How many vectors the next panel takes of those that remain: as many as there may be, but two and two rather than three and one, for
// a tile of one vector has too few sums to keep the multipliers busy.
THALWEG_INLINE int64_t nextPanelVectors(const Matmul& m, int64_t vectors) {
  return vectors == m.panelVectors + 1 ? quotientUp(vectors, 2) : lesser(vectors, m.panelVectors);
}

// Runs the chain over rows x columns elements of y, in place. tiles: the beginning of the scratch memory, where packed
// strips of a may lie; only a chain that needs no tiles runs before they are done with.
void applyChain(const Matmul& m, const float* y, int64_t rows, int64_t columns, float* tiles) {
  if (columns == m.columns) {
    columns *= rows;
    rows = 1;
  }
  runChain(m.chain, y - m.chain.y, columns, rows, m.columns, tiles);
}

// `tiles * kTile` neighbouring elements of a row of y, where b is transposed: its columns, contiguous in memory, are
// turned into vectors in registers.
template <int tiles>
void multiplyTransposed(const Matmul& m, const float* a, const float* b, const float* bias, float* y) {
  TileVector sum[tiles];
  THALWEG_UNROLL for (int t = 0; t < tiles; t++) sum[t] = splatTile(0.0f);
  int64_t k = 0;
  for (; k + kTile <= m.depth; k += kTile) {
    THALWEG_UNROLL for (int t = 0; t < tiles; t++) {
      TileVector columns[kTile];
      loadTransposed(b + t * kTile * m.bColumn + k, m.bColumn, columns);
      THALWEG_UNROLL for (int n = 0; n < kTile; n++) sum[t] = fma(splatTile(a[(k + n) * m.aStep]), columns[n], sum[t]);
    }
  }
  for (; k < m.depth; k++) {
    for (int t = 0; t < tiles; t++) {
      float column[kTile];
      for (int i = 0; i < kTile; i++) column[i] = b[(t * kTile + i) * m.bColumn + k];
      sum[t] = fma(splatTile(a[k * m.aStep]), loadTile(column), sum[t]);
    }
  }
  THALWEG_UNROLL for (int t = 0; t < tiles; t++) {
    if (bias != nullptr) sum[t] = sum[t] + (m.swapped ? splatTile(*bias) : loadTile(bias + t * kTile));
    store(y + t * kTile, sum[t]);
  }
}

// A row of y with a transposed b, columns >= kTile.
void multiplyRow(const Matmul& m, const float* a, const float* b, const float* bias, float* y, int64_t columns) {
  for (int64_t j = 0; j < columns;) {
    int64_t rest = columns - j;
    // The last tile may begin before the end of the one before it, and compute some elements again.
    if (rest < kTile) j = columns - kTile;
    const float* biasHere = bias == nullptr || m.swapped ? bias : bias + j;
    if (rest >= 4 * kTile) {
      multiplyTransposed<4>(m, a, b + j * m.bColumn, biasHere, y + j);
      j += 4 * kTile;
    } else {
      multiplyTransposed<1>(m, a, b + j * m.bColumn, biasHere, y + j);
      j += kTile;
    }
  }
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
    const bool fetchesRows = inPlace && rows <= 2 * kStripRows && (strips == 0 || m.depth * m.columns <= kLargeMatrix);
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
  if (m.rows == 1 && m.bColumn != 1 && columns >= kTile) {
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

namespace {

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
    if (m.chained) applyChain(m, (const float*)y.data, m.rows, m.columns, (float*)scratch);
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
