// The micro-kernels of matrix products: tiles of one strip of a by one panel of b, with all their sums in registers. There is one for each height
// and width of a tile, and for each way in which the strip and the panel lie in memory; chooseTiles and choosePackingTiles find it.
#include "matmulTiles.h"

#include "support.h"

namespace thalweg {
namespace THALWEG_ISA {
namespace {

constexpr int64_t kRowsAhead = 8;  // of a panel in place, between fetching and multiplying

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
          sum[i][v] = loadOfRow<vectors>(y + i * t.yRow, v, t.lastLanes);
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
        Float bias = t.oneBias ? splat(*t.bias) : loadOfRow<vectors>(t.bias, v, t.lastLanes);
        THALWEG_UNROLL for (int i = 0; i < rows; i++) sum[i][v] = sum[i][v] + bias;
      }
    }
    THALWEG_UNROLL for (int i = 0; i < rows; i++)
      THALWEG_UNROLL for (int v = 0; v < vectors; v++) storeOfRow<vectors>(y + i * t.yRow, v, t.lastLanes, sum[i][v]);
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

}  // namespace

TilesFunction chooseTiles(Strip strip, Panel panel, int64_t rows, int64_t vectors) {
  if (vectors == kWideRowVectors)
    return strip == Strip::rows ? computeTiles<1, kWideRowVectors, Strip::rows, Panel::inPlace>
                                : computeTiles<1, kWideRowVectors, Strip::columns, Panel::inPlace>;
  return strip == Strip::packed ? chooseTiles<Strip::packed>(panel, rows, vectors)
         : strip == Strip::rows ? chooseTiles<Strip::rows>(panel, rows, vectors)
                                : chooseTiles<Strip::columns>(panel, rows, vectors);
}

TilesFunction choosePackingTiles(Strip strip, bool masked, int64_t vectors) {
  return strip == Strip::packed ? choosePackingTiles<Strip::packed>(masked, vectors)
         : strip == Strip::rows ? choosePackingTiles<Strip::rows>(masked, vectors)
                                : choosePackingTiles<Strip::columns>(masked, vectors);
}

}  // namespace THALWEG_ISA
}  // namespace thalweg
