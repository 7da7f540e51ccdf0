#include "shuffle.h"

namespace thalweg {
namespace {

constexpr int64_t kBlocks = 16;  // made together, so that the multiplications of one hide the latency of another's
constexpr int64_t kWords = 4 * kBlocks;

void philox(const RandomWords& stream, uint32_t block, uint32_t words[4]) {
  uint32_t c0 = block, c1 = 0, c2 = stream.index, c3 = stream.purpose, k0 = stream.key0, k1 = stream.key1;
  for (int round = 0; round < 10; round++, k0 += 0x9e3779b9u, k1 += 0xbb67ae85u) {
    const uint64_t product0 = uint64_t{0xd2511f53u} * c0, product1 = uint64_t{0xcd9e8d57u} * c2;
    c0 = static_cast<uint32_t>(product1 >> 32) ^ c1 ^ k0;
    c1 = static_cast<uint32_t>(product1);
    c2 = static_cast<uint32_t>(product0 >> 32) ^ c3 ^ k1;
    c3 = static_cast<uint32_t>(product0);
  }
  words[0] = c0;
  words[1] = c1;
  words[2] = c2;
  words[3] = c3;
}

}  // namespace

int64_t shuffle(int32_t* values, int64_t from, int64_t downTo, const RandomWords& stream, int64_t word) {
  uint32_t words[kWords];
  int64_t end = 0;  // of those that have been made
  for (int64_t i = from; i >= downTo; i--) {
    const uint32_t bound = static_cast<uint32_t>(i) + 1;
    uint32_t remainder;
    uint64_t multiple;  // beyond the last full one words are drawn again
    do {
      if (word >= end) {
        for (int64_t block = 0; block < kBlocks; block++) philox(stream, static_cast<uint32_t>(word / 4 + block), words + 4 * block);
        end = word / 4 * 4 + kWords;
      }
      const uint32_t drawn = words[word++ - (end - kWords)];
      remainder = drawn % bound;
      multiple = drawn - remainder;
    } while (multiple + bound > uint64_t{1} << 32);
    const int32_t held = values[i];
    values[i] = values[remainder];
    values[remainder] = held;
  }
  return word;
}

}  // namespace thalweg
