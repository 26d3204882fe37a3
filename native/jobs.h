// Short jobs inside a namespace (sysctls, sockets, namespaces themselves, pings), on threads of our own: a job may wait
// for a lock of the kernel or for an echo, and libuv has four threads for everybody.
//
// A thread enters the namespace of each job it takes and never returns to an earlier one: every job names its
// namespace, so there is none to return to. Threads end when nothing waits.
#pragma once

#include <condition_variable>
#include <deque>
#include <list>
#include <mutex>

#include "channel.h"
#include "fd.h"
#include "thread.h"

namespace hybridnet {

class Job : public Completion {
 public:
  /** @param ns the namespace to work in; duplicated, so that the caller may close its own. -1: any */
  Job(Napi::Env env, int ns);
  Failure Enter() const;
  /** On a thread of the pool, inside the namespace; fills `failure`. `stop` becomes readable when there is no time
   * left. */
  virtual void Work(const WakeUp& stop) = 0;
  /** True when the thread must not be used again (it has left for a namespace nobody can name). */
  virtual bool spendsThread() const { return false; }

 private:
  Fd namespace_;
  int duplicateError_ = 0;
  bool anywhere_;
};

class JobPool {
 public:
  JobPool(Napi::Env env, Channel* channel);
  JobPool(const JobPool&) = delete;
  JobPool& operator=(const JobPool&) = delete;
  ~JobPool() { Stop(); }

  /** Takes the job; answers its promise when done. Without a promise it is not carried out. */
  Napi::Value Submit(Napi::Env env, Job* job);

 private:
  struct Worker {
    Thread thread;
    bool ended = false;
  };

  void Serve(Worker* worker);
  void Reap();
  void Stop();

  Channel* channel_;
  WakeUp stopping_;
  std::mutex mutex_;
  std::deque<Job*> waiting_;
  std::list<Worker> workers_;
  size_t live_ = 0;
  bool stopped_ = false;
  CleanupHook hook_;
};

}  // namespace hybridnet
