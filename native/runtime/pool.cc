// The thread pool. Five rules shape it:
//
// 1. The caller works too, and waits only for chunks that somebody has claimed and not finished. A worker that the
//    system does not schedule therefore delays nobody, unless it sleeps in the middle of a chunk.
// 2. A claim is one compare-and-swap on a ticket that carries the job's sequence number, so a late worker can never
//    take a chunk of another job than the one it has read.
// 3. Workers spin briefly after their last job and then sleep. Waking a sleeper takes 50-100 us, the gap between two
//    instructions of a plan much less.
// 4. A caller that waits suspiciously long has met a descheduled worker: somebody else needs the core. Everybody
//    then runs alone for a while.
// 5. A sleeper wakes on another processor than the caller's. Left to itself, Linux often lets it queue behind the caller, above all in
//    a virtual machine, where a halted processor does not count as idle; until the next tick, milliseconds later, nobody helps.
//
// Workers are detached and the pool is never destroyed: nothing at process exit can be in the wrong order.
#include "pool.h"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <new>
#include <thread>

#include "../kernels/kernel.h"
#include "cpu.h"

#if defined(_WIN32)
#define WIN32_LEAN_AND_MEAN
#define NOMINMAX
#include <windows.h>
#else
#include <dlfcn.h>
#include <pthread.h>
#include <unistd.h>
#endif

// THALWEG_POOL_PORTABLE_WAIT selects the condition variable on Linux as well, to test it there.
#if defined(__linux__) && !defined(THALWEG_POOL_PORTABLE_WAIT)
#define THALWEG_POOL_FUTEX 1
#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
#endif

// The wait that counts as a stall. Tests that want every job to run in parallel raise it.
#ifndef THALWEG_POOL_STALL_MICROSECONDS
#define THALWEG_POOL_STALL_MICROSECONDS 1500
#endif

namespace thalweg {

namespace {

constexpr int kMostJobs = 64;                // callers beyond this many at once run alone
constexpr int64_t kMostUnits = 65535;        // per share: positions have 16 bits
constexpr int64_t kSpinNanoseconds = 50000;  // a worker without work looks for it this long before it sleeps
constexpr int64_t kCallerSpinNanoseconds = 20000;
constexpr int64_t kStallNanoseconds = THALWEG_POOL_STALL_MICROSECONDS * int64_t{1000};
constexpr int64_t kShortestPause = 5 * int64_t{1000000};
constexpr int64_t kLongestPause = 1000 * int64_t{1000000};

using Body = void (*)(void* context, int64_t chunk, int slot);

int64_t now() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

inline void pauseBriefly() {
#if defined(__x86_64__) || defined(_M_X64)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("isb" ::: "memory");  // about as long as x86's pause; `yield` does nothing on most cores
#else
  std::this_thread::yield();
#endif
}

// One thread's part of a job. A unit is `grain` chunks, nearly always one.
struct alignas(64) Share {
  // sequence << 32 | front << 16 | back: the units front … back-1 of this share are unclaimed. The thread whose slot
  // it is takes from the front, others from the back: they meet as late as possible.
  std::atomic<uint64_t> ticket{0};
  // The sequence number of the last job in which a worker took the slot of this share.
  std::atomic<uint32_t> takenIn{0};
};

uint64_t makeTicket(uint32_t sequence, int64_t front, int64_t back) {
  return uint64_t{sequence} << 32 | static_cast<uint64_t>(front) << 16 | static_cast<uint64_t>(back);
}

// The fields are atomic because a late worker may read them while the caller describes its next job. It then fails to
// claim: a claim succeeds only if the ticket still is the one of the sequence number read before, and the caller
// changes the fields only after it has seen every ticket of that sequence number exhausted.
struct Job {
  std::atomic<bool> taken{false};      // by a caller
  std::atomic<uint32_t> sequence{0};   // odd while there may be something to do
  std::atomic<int> threads{0};
  std::atomic<int64_t> chunks{0};
  std::atomic<int64_t> grain{1};
  std::atomic<int64_t> units{0};
  std::atomic<Body> body{nullptr};
  std::atomic<void*> context{nullptr};
  alignas(64) std::atomic<int64_t> finishedByWorkers{0};  // units
  Share shares[kMaximumThreads];
};

#if defined(THALWEG_POOL_FUTEX)
struct Sleeper {
  std::atomic<pid_t> thread{0};         // of the worker while it sleeps, or is about to; else 0
  std::atomic<bool> restricted{false};  // it was kept off a processor when it was woken
};
#endif

struct Pool {
  std::atomic<Job*> jobs[kMostJobs];
  alignas(64) std::atomic<uint32_t> epoch{0};  // rises with each published job
  alignas(64) std::atomic<int> sleepers{0};
  alignas(64) std::atomic<int> workers{0};
  std::atomic<bool> exhausted{false};          // the system has refused a thread
  std::atomic<int64_t> aloneUntil{0};          // no parallel jobs before this time; 0: no pause
  std::atomic<int64_t> pauseLength{kShortestPause};  // of the last pause
  std::atomic<int64_t> pauseEnd{0};                  // when it ended, or will
  std::mutex mutex;                            // guards the creation of workers and jobs
#if defined(THALWEG_POOL_FUTEX)
  Sleeper sleeping[kMaximumThreads];           // by worker
#else
  std::mutex sleepMutex;
  std::condition_variable wake;
#endif

  Pool() {
    for (std::atomic<Job*>& job : jobs) job.store(nullptr, std::memory_order_relaxed);
  }
};

Pool& pool() {
  static Pool* const instance = new Pool;  // never destroyed: workers outlive main()
  return *instance;
}

// --- Sleeping ---

// In both ways to sleep: sequential consistency on both sides, so that either the caller sees the sleeper, or the sleeper sees the
// new epoch.

#if defined(THALWEG_POOL_FUTEX)
static_assert(sizeof(std::atomic<uint32_t>) == 4, "the futex waits on the epoch itself");

// The processors of the process are those of its first thread.
bool processorsOfProcess(cpu_set_t* allowed) { return sched_getaffinity(getpid(), sizeof *allowed, allowed) == 0; }

// Before it sleeps again, a worker may run everywhere.
void allowAllProcessors(Sleeper& self) {
  cpu_set_t allowed;
  if (self.restricted.exchange(false) && processorsOfProcess(&allowed)) sched_setaffinity(0, sizeof allowed, &allowed);
}

// What the system refuses is left as it is.
void keepOffThisProcessor(Pool& p) {
  cpu_set_t allowed;
  const int processor = sched_getcpu();
  if (processor < 0 || !processorsOfProcess(&allowed)) return;
  if (!CPU_ISSET(processor, &allowed) || CPU_COUNT(&allowed) < 2) return;
  CPU_CLR(processor, &allowed);
  const int workers = p.workers.load(std::memory_order_relaxed);
  for (int k = 0; k < workers; ++k) {
    const pid_t thread = p.sleeping[k].thread.load(std::memory_order_acquire);
    if (thread == 0) continue;
    p.sleeping[k].restricted.store(true);
    sched_setaffinity(thread, sizeof allowed, &allowed);
  }
}

void sleepUntilEpochChanges(Pool& p, uint32_t seen, int worker) {
  Sleeper& self = p.sleeping[worker];
  allowAllProcessors(self);
  self.thread.store(static_cast<pid_t>(syscall(SYS_gettid)), std::memory_order_release);
  p.sleepers.fetch_add(1);
  if (p.epoch.load() == seen) {
    syscall(SYS_futex, reinterpret_cast<uint32_t*>(&p.epoch), FUTEX_WAIT_PRIVATE, seen, nullptr, nullptr, 0);
  }
  p.sleepers.fetch_sub(1);
  self.thread.store(0, std::memory_order_relaxed);
}

void wakeSleepers(Pool& p, int helpers) {
  keepOffThisProcessor(p);
  syscall(SYS_futex, reinterpret_cast<uint32_t*>(&p.epoch), FUTEX_WAKE_PRIVATE, helpers, nullptr, nullptr, 0);
}
#else
void sleepUntilEpochChanges(Pool& p, uint32_t seen, int) {
  p.sleepers.fetch_add(1);
  {
    std::unique_lock<std::mutex> lock(p.sleepMutex);
    p.wake.wait(lock, [&] { return p.epoch.load() != seen; });
  }
  p.sleepers.fetch_sub(1);
}

void wakeSleepers(Pool& p, int helpers) {
  { std::lock_guard<std::mutex> lock(p.sleepMutex); }  // nobody is between its test of the epoch and its wait
  if (helpers == 1) {
    p.wake.notify_one();
  } else {
    p.wake.notify_all();
  }
}
#endif

void announceJob(Pool& p, int helpers) {
  p.epoch.fetch_add(1);
  if (p.sleepers.load() > 0) wakeSleepers(p, helpers);
}

// --- Working ---

// Claims a unit of a share; -1 when it has none left, or belongs to another job by now.
int64_t claim(Share& share, uint32_t sequence, bool own) {
  uint64_t ticket = share.ticket.load(std::memory_order_acquire);
  for (;;) {
    const int64_t front = ticket >> 16 & 0xffff;
    const int64_t back = ticket & 0xffff;
    if (static_cast<uint32_t>(ticket >> 32) != sequence || front == back) return -1;
    const uint64_t claimed = own ? makeTicket(sequence, front + 1, back) : makeTicket(sequence, front, back - 1);
    if (share.ticket.compare_exchange_weak(ticket, claimed, std::memory_order_acq_rel, std::memory_order_acquire)) {
      return own ? front : back - 1;
    }
  }
}

// Works on a job until nothing of it is unclaimed: first its own share, then the others'. Returns the units done.
int64_t work(Job& job, uint32_t sequence, int slot) {
  const int threads = job.threads.load(std::memory_order_relaxed);
  const int64_t units = job.units.load(std::memory_order_relaxed);
  const int64_t chunks = job.chunks.load(std::memory_order_relaxed);
  const int64_t grain = job.grain.load(std::memory_order_relaxed);
  const Body body = job.body.load(std::memory_order_relaxed);
  void* const context = job.context.load(std::memory_order_relaxed);
  int64_t done = 0;
  for (int distance = 0; distance < threads; ++distance) {
    const int owner = slot + distance < threads ? slot + distance : slot + distance - threads;
    for (;;) {
      const int64_t unit = claim(job.shares[owner], sequence, distance == 0);
      if (unit < 0) break;
      const int64_t first = (firstOfShare(units, owner, threads) + unit) * grain;
      const int64_t end = first + grain < chunks ? first + grain : chunks;
      for (int64_t chunk = first; chunk < end; ++chunk) body(context, chunk, slot);
      ++done;
    }
  }
  return done;
}

bool somethingLeft(Job& job, uint32_t sequence, int threads) {
  for (int k = 0; k < threads; ++k) {
    const uint64_t ticket = job.shares[k].ticket.load(std::memory_order_relaxed);
    if (static_cast<uint32_t>(ticket >> 32) == sequence && (ticket >> 16 & 0xffff) != (ticket & 0xffff)) return true;
  }
  return false;
}

// Takes a free slot of a job, the preferred one if possible; -1 when all are taken. Marks only move forward: a worker that is late
// for a job that has ended must not take the mark of a later job off a slot, or a third worker would share that slot.
int takeSlot(Job& job, uint32_t sequence, int threads, int preferred) {
  for (int k = 0; k < threads - 1; ++k) {
    const int slot = 1 + (preferred - 1 + k) % (threads - 1);
    uint32_t last = job.shares[slot].takenIn.load(std::memory_order_relaxed);
    const bool free = static_cast<int32_t>(sequence - last) > 0;
    if (free && job.shares[slot].takenIn.compare_exchange_strong(last, sequence)) return slot;
  }
  return -1;
}

bool help(Job& job, int preferred) {
  const uint32_t sequence = job.sequence.load(std::memory_order_acquire);
  if ((sequence & 1) == 0) return false;
  const int threads = job.threads.load(std::memory_order_relaxed);
  if (!somethingLeft(job, sequence, threads)) return false;
  const int slot = takeSlot(job, sequence, threads, preferred);
  if (slot < 0) return false;
  const int64_t done = work(job, sequence, slot);
  if (done == 0) return false;
  job.finishedByWorkers.fetch_add(done, std::memory_order_release);
  return true;
}

void workForever(int index) {
  Pool& p = pool();
  // With more threads than processors a spinning worker takes the time of a working one.
  const int64_t spin = index + 1 < hardwareThreads() ? kSpinNanoseconds : 0;
  int next = 0;  // the job looked at first, so that one busy caller does not starve the others
  for (;;) {
    const uint32_t seen = p.epoch.load();
    bool worked = false;
    for (int k = 0; k < kMostJobs; ++k) {
      const int position = (next + k) % kMostJobs;
      Job* const job = p.jobs[position].load(std::memory_order_acquire);
      if (job != nullptr && help(*job, index + 1)) {
        worked = true;
        next = (position + 1) % kMostJobs;
        break;
      }
    }
    if (worked) continue;
    const int64_t start = spin > 0 ? now() : 0;
    bool changed = false;
    while (spin > 0 && !changed) {
      for (int k = 0; k < 16 && !changed; ++k) {
        pauseBriefly();
        changed = p.epoch.load(std::memory_order_relaxed) != seen;
      }
      if (now() - start > spin) break;
    }
    if (!changed) sleepUntilEpochChanges(p, seen, index);
  }
}

// --- Workers ---

#if defined(_WIN32)
DWORD WINAPI workerMain(void* index) {
  workForever(static_cast<int>(reinterpret_cast<intptr_t>(index)));
  return 0;
}
#else
void* workerMain(void* index) {
  workForever(static_cast<int>(reinterpret_cast<intptr_t>(index)));
  return nullptr;
}
#endif

bool startWorker(int index) {
  void* const argument = reinterpret_cast<void*>(static_cast<intptr_t>(index));
#if defined(_WIN32)
  HANDLE thread = CreateThread(nullptr, 0, workerMain, argument, 0, nullptr);
  if (thread == nullptr) return false;
  CloseHandle(thread);
  return true;
#else
  pthread_t thread;
  if (pthread_create(&thread, nullptr, workerMain, argument) != 0) return false;
  pthread_detach(thread);
  return true;
#endif
}

// Node unloads an addon when the last worker thread that loaded it ends. Our threads run its code, so it must stay.
void keepLibraryLoaded() {
#if defined(_WIN32)
  HMODULE module;
  GetModuleHandleExA(GET_MODULE_HANDLE_EX_FLAG_PIN | GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS,
                     reinterpret_cast<LPCSTR>(&keepLibraryLoaded), &module);
#else
  Dl_info info;
  if (dladdr(reinterpret_cast<void*>(&keepLibraryLoaded), &info) != 0 && info.dli_fname != nullptr) {
    // The handle is kept on purpose. In a plain executable this finds nothing, and nothing is needed.
    dlopen(info.dli_fname, RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE);
  }
#endif
}

void ensureWorkers(Pool& p, int wanted) {
  if (p.workers.load(std::memory_order_acquire) >= wanted || p.exhausted.load(std::memory_order_relaxed)) return;
  std::lock_guard<std::mutex> lock(p.mutex);
  int count = p.workers.load(std::memory_order_relaxed);
  if (count == 0) keepLibraryLoaded();
  while (count < wanted) {
    if (!startWorker(count)) {
      p.exhausted.store(true, std::memory_order_relaxed);  // jobs run with the workers there are
      break;
    }
    p.workers.store(++count, std::memory_order_release);
  }
}

// --- Callers ---

// A job nobody uses, or null when there are too many callers at once.
Job* takeJob(Pool& p) {
  for (std::atomic<Job*>& entry : p.jobs) {
    Job* job = entry.load(std::memory_order_acquire);
    if (job == nullptr) {
      std::lock_guard<std::mutex> lock(p.mutex);
      job = entry.load(std::memory_order_relaxed);
      if (job == nullptr) {
        job = new (std::nothrow) Job;
        if (job == nullptr) return nullptr;
        entry.store(job, std::memory_order_release);
      }
    }
    if (!job->taken.load(std::memory_order_relaxed) && !job->taken.exchange(true, std::memory_order_acquire)) return job;
  }
  return nullptr;
}

void runAlone(int64_t chunks, Body body, void* context) {
  for (int64_t chunk = 0; chunk < chunks; ++chunk) body(context, chunk, 0);
}

bool pausing(Pool& p) {
  const int64_t until = p.aloneUntil.load(std::memory_order_relaxed);
  if (until == 0) return false;
  if (now() < until) return true;
  p.aloneUntil.store(0, std::memory_order_relaxed);
  return false;
}

// A stall soon after a pause doubles the next one: somebody still needs the core. One after ten quiet pauses was a passing
// disturbance, and the next pause is the shortest again. Callers may overwrite each other's figures here; nothing but speed
// depends on them.
void noteStall(Pool& p) {
  const int64_t time = now(), length = p.pauseLength.load(std::memory_order_relaxed);
  const bool passing = time - p.pauseEnd.load(std::memory_order_relaxed) > 10 * length;
  const int64_t next = passing ? kShortestPause : length * 2 < kLongestPause ? length * 2 : kLongestPause;
  p.pauseLength.store(next, std::memory_order_relaxed);
  p.pauseEnd.store(time + next, std::memory_order_relaxed);
  p.aloneUntil.store(time + next, std::memory_order_relaxed);
}

// Waits for the workers' units. True if that took so long that a worker must have been descheduled: longer than the
// limit and than any chunk should take, judged by the caller's own.
bool waitForWorkers(Job& job, int64_t units, int64_t begun, int64_t ownUnits) {
  const auto finished = [&] { return job.finishedByWorkers.load(std::memory_order_acquire) == units; };
  if (finished()) return false;
  const int64_t start = now();
  int64_t waited = 0;
  do {
    if (waited < kCallerSpinNanoseconds) {
      for (int k = 0; k < 8 && !finished(); ++k) pauseBriefly();
    } else {
      std::this_thread::yield();  // the worker may be waiting for this very core
    }
    waited = now() - start;
  } while (!finished());
  if (ownUnits == 0) return false;
  return waited > kStallNanoseconds + 4 * ((start - begun) / ownUnits);
}

}  // namespace

bool poolIsAwake(int threads) {
  Pool& p = pool();
  const int awake = p.workers.load(std::memory_order_relaxed) - p.sleepers.load(std::memory_order_relaxed);
  return awake >= threads - 1 && !pausing(p);
}

void parallelFor(int64_t chunks, int threads, Body body, void* context) {
  if (chunks <= 0) return;
  if (threads > kMaximumThreads) threads = kMaximumThreads;
  if (threads > chunks) threads = static_cast<int>(chunks);
  if (threads <= 1) return runAlone(chunks, body, context);
  Pool& p = pool();
  if (pausing(p)) return runAlone(chunks, body, context);
  ensureWorkers(p, threads - 1);
  Job* const job = p.workers.load(std::memory_order_relaxed) > 0 ? takeJob(p) : nullptr;
  if (job == nullptr) return runAlone(chunks, body, context);

  const int64_t mostUnits = kMostUnits * threads;
  const int64_t grain = chunks <= mostUnits ? 1 : 1 + (chunks - 1) / mostUnits;
  const int64_t units = 1 + (chunks - 1) / grain;
  // The fields come first, then the tickets that allow claims, then the sequence number that invites workers.
  const uint32_t sequence = job->sequence.load(std::memory_order_relaxed) + 1;
  job->threads.store(threads, std::memory_order_relaxed);
  job->chunks.store(chunks, std::memory_order_relaxed);
  job->grain.store(grain, std::memory_order_relaxed);
  job->units.store(units, std::memory_order_relaxed);
  job->body.store(body, std::memory_order_relaxed);
  job->context.store(context, std::memory_order_relaxed);
  job->finishedByWorkers.store(0, std::memory_order_relaxed);
  for (int k = 0; k < threads; ++k) {
    const int64_t count = firstOfShare(units, k + 1, threads) - firstOfShare(units, k, threads);
    job->shares[k].ticket.store(makeTicket(sequence, 0, count), std::memory_order_release);
  }
  job->sequence.store(sequence, std::memory_order_release);
  const int64_t begun = now();
  announceJob(p, threads - 1);

  const int64_t own = work(*job, sequence, 0);
  if (waitForWorkers(*job, units - own, begun, own)) noteStall(p);
  job->sequence.store(sequence + 1, std::memory_order_release);
  job->taken.store(false, std::memory_order_release);
}

}  // namespace thalweg
