// The attributes of one instruction: named numbers, lists of numbers, texts and lists of texts.
// The kernels read them through the four functions that kernel.h declares.
#pragma once
#include <string>
#include <vector>

#include "../kernels/kernel.h"

namespace thalweg {

struct Attributes {
  void setNumber(const std::string& name, double value);
  void setNumbers(const std::string& name, std::vector<double> values);
  void setText(const std::string& name, const std::string& value);
  void setTexts(const std::string& name, std::vector<std::string> values);

  enum class Kind { number, numbers, text, texts };
  struct Entry {
    std::string name;
    Kind kind;
    std::vector<double> numbers;     // a single number is a list of one
    std::vector<std::string> texts;  // a single text is a list of one
    mutable std::vector<const char*> textPointers;
  };
  const Entry* find(const char* name, Kind kind) const;

 private:
  Entry& add(const std::string& name, Kind kind);
  std::vector<Entry> entries_;
};

}  // namespace thalweg
