// The kernel families of one instruction set. Compiled once per set, like the families themselves.
// A list that someone names, because an object that registers itself is dropped from a static library without a word.
#include "kernel.h"

namespace thalweg {
namespace THALWEG_ISA {

extern const KernelFamily elementwiseFamily, matmulFamily, matmulUpdateFamily, reduceFamily, softmaxFamily, shapeFamily, indexingFamily,
    randomFamily, updateFamily;
extern const PickRows pickRows;

namespace {

const KernelFamily* const families[] = {
    &elementwiseFamily, &matmulFamily,   &matmulUpdateFamily, &reduceFamily, &softmaxFamily,
    &shapeFamily,       &indexingFamily, &randomFamily,       &updateFamily,
};

#define THALWEG_TEXT_OF(name) #name
#define THALWEG_TEXT(name) THALWEG_TEXT_OF(name)

}  // namespace

extern const KernelSet kernelSet;
const KernelSet kernelSet = {THALWEG_TEXT(THALWEG_ISA), families, sizeof families / sizeof families[0], pickRows};

}  // namespace THALWEG_ISA
}  // namespace thalweg
