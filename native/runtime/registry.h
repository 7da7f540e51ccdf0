// The instruction sets compiled into this binary. Lists sets, never operations: each set's families.cc names its
// families, and each family names its kernels.
#pragma once
#include <string>
#include <vector>

#include "../kernels/kernel.h"

namespace thalweg {

// The sets that this binary has and this processor can execute, best first. Never empty: "portable" is always last.
const std::vector<const KernelSet*>& supportedKernelSets();

// The set called `requested`; when that is empty, the one that the environment variable THALWEG_ISA names; when that is
// unset or empty too, the best. Null, with `error` set, for a name that is unknown or cannot run here.
const KernelSet* chooseKernelSet(const std::string& requested, std::string* error);

// Null when the set has no kernel of this name.
const Kernel* findKernel(const KernelSet& set, const std::string& name);

// The names of all kernels of a set, in the order of its tables.
std::vector<std::string> kernelNames(const KernelSet& set);

// The names of the steps that an elementwise chain is made of, in the order of their table.
std::vector<std::string> stepNames();

}  // namespace thalweg
