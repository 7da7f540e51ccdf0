// Plans and run requests as JavaScript writes them, read into the runtime's own structures.
// The shapes are documented where they are typed: src/executors/native/addon.ts.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "../runtime/session.h"
#include "arguments.h"

namespace thalweg {

PlanDescription readPlan(Arguments& arguments, const Napi::Value& value);

// A run request with everything it points to.
//
// A run has its own thread. Meanwhile JavaScript goes on and may transfer an ArrayBuffer away, which frees or moves memory that
// the run reads; Node-API has no way to pin it. A SharedArrayBuffer cannot be detached. So a run writes only into
// shared memory, reads shared sources in place, and copies the others (and the order, whose numbers must stay as they were
// when they were checked).
struct ReadRequest {
  RunRequest request;
  Napi::Function onProgress;         // empty when there is none
  std::vector<Napi::Object> arrays;  // all typed arrays that the run uses, to be kept alive
  std::vector<int32_t> order;
  std::vector<std::unique_ptr<uint8_t[]>> copies;
};

ReadRequest readRequest(Arguments& arguments, const Napi::Value& value, const Session& session);

}  // namespace thalweg
