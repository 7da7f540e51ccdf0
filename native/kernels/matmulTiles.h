// The micro-kernels of matrix products: what they are told, and which there are. What strips and panels are, and who packs them, is in
// matmulBlocks.cc.
//
// NOTE: every body is `static`, and this header is for kernel files alone: see simd.h.
#pragma once
#include <stdint.h>

#include "../simd/simd.h"

namespace thalweg {
namespace THALWEG_ISA {

// The registers hold kStripRows * kPanelVectors sums, one row of a panel and one broadcast element: 12 + 3 + 1 of 16
// with AVX2, 24 + 3 + 1 of 32 with AVX-512 and NEON.
#if defined(THALWEG_ISA_AVX512) || defined(THALWEG_ISA_NEON)
constexpr int kStripRows = 8;
#else
constexpr int kStripRows = 4;
#endif
constexpr int kPanelVectors = 3;
// A wider and lower tile of as many sums, 0 where there is none: it loads 10 numbers for 24 multiplications instead of 11, and divides 4, 8 or 16
// vectors without a remainder of two.
#if defined(THALWEG_ISA_AVX512)
constexpr int kWideStripRows = 6, kWidePanelVectors = 4;
#else
constexpr int kWideStripRows = 0, kWidePanelVectors = 0;
#endif
constexpr bool kMaskedLoads = kWidth >= 8;  // loadPartial is one instruction
constexpr int kWideRowVectors = 12;         // of a tile of one row, which waits for b rather than for registers
constexpr int64_t kFetchStrips = 8;         // so many strips fetch the next panel, each its part of the rows

// Rows of several arrays, of which each group of steps of the micro-kernel fetches some lines into the L2 cache.
struct Fetch {
  int64_t arrayCount;
  const float* arrays[3];         // where the first row begins that is not fetched wholly
  int64_t rows, columns, stride;  // so many rows are left, of so many columns, that far apart
  int64_t column;                 // up to which the first of them is fetched
  int64_t lines;                  // of each array, at a time
};

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

// The micro-kernel for 1 <= rows <= kStripRows and 1 <= vectors <= kPanelVectors. Where the strip is in place and the panel not masked, there are
// also tiles of kWidePanelVectors, of no more than kWideStripRows rows, and of kWideRowVectors, of one row.
TilesFunction chooseTiles(Strip strip, Panel panel, int64_t rows, int64_t vectors);

// The one for a single whole strip that packs its panel on the way.
TilesFunction choosePackingTiles(Strip strip, bool masked, int64_t vectors);

// --- Rows of `vectors` vectors, the last of which has `lastLanes` lanes ---

template <int vectors>
THALWEG_INLINE Float loadOfRow(const float* row, int v, int lastLanes) {
  return v < vectors - 1 || lastLanes == kWidth ? load(row + v * kWidth) : loadPartial(row + v * kWidth, lastLanes);
}

template <int vectors>
THALWEG_INLINE void storeOfRow(float* row, int v, int lastLanes, Float x) {
  if (v < vectors - 1 || lastLanes == kWidth) {
    store(row + v * kWidth, x);
  } else {
    storePartial(row + v * kWidth, x, lastLanes);
  }
}

}  // namespace THALWEG_ISA
}  // namespace thalweg
