#include "attributes.h"

#include <utility>

namespace thalweg {

Attributes::Entry& Attributes::add(const std::string& name, Kind kind) {
  entries_.emplace_back();
  entries_.back().name = name;
  entries_.back().kind = kind;
  return entries_.back();
}

void Attributes::setNumber(const std::string& name, double value) { add(name, Kind::number).numbers = {value}; }

void Attributes::setNumbers(const std::string& name, std::vector<double> values) {
  add(name, Kind::numbers).numbers = std::move(values);
}

void Attributes::setText(const std::string& name, const std::string& value) { add(name, Kind::text).texts = {value}; }

void Attributes::setTexts(const std::string& name, std::vector<std::string> values) {
  add(name, Kind::texts).texts = std::move(values);
}

const Attributes::Entry* Attributes::find(const char* name, Kind kind) const {
  for (const Entry& entry : entries_) {
    if (entry.kind == kind && entry.name == name) return &entry;
  }
  return nullptr;
}

double attributeNumber(const Attributes* attributes, const char* name, double fallback) {
  const Attributes::Entry* entry = attributes->find(name, Attributes::Kind::number);
  return entry ? entry->numbers[0] : fallback;
}

const double* attributeNumbers(const Attributes* attributes, const char* name, int64_t* count) {
  const Attributes::Entry* entry = attributes->find(name, Attributes::Kind::numbers);
  *count = entry ? static_cast<int64_t>(entry->numbers.size()) : 0;
  return entry ? entry->numbers.data() : nullptr;
}

const char* attributeText(const Attributes* attributes, const char* name) {
  const Attributes::Entry* entry = attributes->find(name, Attributes::Kind::text);
  return entry ? entry->texts[0].c_str() : "";
}

const char* const* attributeTexts(const Attributes* attributes, const char* name, int64_t* count) {
  const Attributes::Entry* entry = attributes->find(name, Attributes::Kind::texts);
  *count = entry ? static_cast<int64_t>(entry->texts.size()) : 0;
  if (!entry) return nullptr;
  // The pointers are taken when they are asked for: short texts live inside their std::string, which moves with the plan.
  entry->textPointers.clear();
  for (const std::string& text : entry->texts) entry->textPointers.push_back(text.c_str());
  return entry->textPointers.data();
}

}  // namespace thalweg
