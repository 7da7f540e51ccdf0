#include "registry.h"

#include <stdlib.h>

#include "cpu.h"

// Every set has the same steps, and the portable one is always there.
#define THALWEG_ISA portable
#include "../kernels/steps.h"

namespace thalweg {

// Defined in kernels/families.cc, which is compiled once for each of these namespaces. binding.gyp and CMakeLists.txt
// compile the same sets for the same processors.
namespace portable { extern const KernelSet kernelSet; }
#if defined(__x86_64__)
namespace avx2 { extern const KernelSet kernelSet; }
namespace avx512 { extern const KernelSet kernelSet; }
#elif defined(__aarch64__)
namespace neon { extern const KernelSet kernelSet; }
#endif

const std::vector<const KernelSet*>& supportedKernelSets() {
  static const std::vector<const KernelSet*> supported = [] {
    std::vector<const KernelSet*> sets;
    const CpuFeatures& cpu = cpuFeatures();
    (void)cpu;  // Unused where only the portable set exists.
#if defined(__x86_64__)
    if (cpu.avx512) sets.push_back(&avx512::kernelSet);
    if (cpu.avx2) sets.push_back(&avx2::kernelSet);
#elif defined(__aarch64__)
    if (cpu.neon) sets.push_back(&neon::kernelSet);
#endif
    sets.push_back(&portable::kernelSet);
    return sets;
  }();
  return supported;
}

const KernelSet* chooseKernelSet(const std::string& requested, std::string* error) {
  const std::vector<const KernelSet*>& supported = supportedKernelSets();
  std::string name = requested;
  const char* origin = "";
  if (name.empty()) {
    const char* fromEnvironment = getenv("THALWEG_ISA");
    if (fromEnvironment == nullptr || *fromEnvironment == 0) return supported.front();
    name = fromEnvironment;
    origin = " (from the environment variable THALWEG_ISA)";
  }

  std::string names;
  for (const KernelSet* set : supported) {
    if (name == set->isa) return set;
    names += names.empty() ? set->isa : std::string(", ") + set->isa;
  }
  *error = "instruction set: expected one that this processor and this build support (" + names + "), got \"" + name + "\"" +
           origin + ".";
  return nullptr;
}

const Kernel* findKernel(const KernelSet& set, const std::string& name) {
  for (int64_t f = 0; f < set.count; f++) {
    const KernelFamily& family = *set.families[f];
    for (int64_t k = 0; k < family.count; k++) {
      if (name == family.kernels[k].name) return &family.kernels[k];
    }
  }
  return nullptr;
}

std::vector<std::string> kernelNames(const KernelSet& set) {
  std::vector<std::string> names;
  for (int64_t f = 0; f < set.count; f++) {
    const KernelFamily& family = *set.families[f];
    for (int64_t k = 0; k < family.count; k++) names.push_back(family.kernels[k].name);
  }
  return names;
}

std::vector<std::string> stepNames() {
  int64_t count;
  const portable::StepOp* steps = portable::allSteps(&count);
  std::vector<std::string> names;
  for (int64_t i = 0; i < count; i++) names.push_back(steps[i].name);
  return names;
}

}  // namespace thalweg
