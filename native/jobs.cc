#include "jobs.h"

#include <errno.h>
#include <fcntl.h>

#include "netns.h"

namespace hybridnet {

namespace {
// Enough for a node's worth of pods to be pinged at once; more only wait their turn.
constexpr size_t kMaxThreads = 64;
}  // namespace

Job::Job(Napi::Env env, int ns) : Completion(env), anywhere_(ns < 0) {
  if (anywhere_) return;
  namespace_ = Fd(fcntl(ns, F_DUPFD_CLOEXEC, 0));
  if (!namespace_.valid()) duplicateError_ = errno;
}

Failure Job::Enter() const {
  if (anywhere_) return {};
  if (duplicateError_ != 0) return {duplicateError_, "network namespace is closed"};
  return EnterNamespace(namespace_.get());
}

JobPool::JobPool(Napi::Env env, Channel* channel) : channel_(channel) {
  hook_.Register(
      env, [](void* self) { static_cast<JobPool*>(self)->Stop(); }, this);
}

Napi::Value JobPool::Submit(Napi::Env env, Job* job) {
  const Napi::Value promise = job->promise();
  if (promise.IsEmpty()) {
    ChannelOf(env).Post(job);
    return promise;
  }
  Reap();
  int error = 0;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    waiting_.push_back(job);
    if (live_ < kMaxThreads) {
      workers_.emplace_back();
      Worker* worker = &workers_.back();
      error = worker->thread.Start([this, worker] { Serve(worker); });
      if (error == 0) {
        live_++;
      } else {
        workers_.pop_back();
        // Some thread will come to it if there is one; otherwise nobody would.
        if (live_ == 0) waiting_.pop_back();
      }
    }
    if (live_ > 0) error = 0;
  }
  if (error != 0) {
    job->failure = {error, "start thread"};
    ChannelOf(env).Post(job);
  }
  return promise;
}

void JobPool::Serve(Worker* worker) {
  bool spent = false;
  for (;;) {
    Job* job = nullptr;
    bool stopped = false;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      if (waiting_.empty() || spent) {
        worker->ended = true;
        live_--;
        return;
      }
      job = waiting_.front();
      waiting_.pop_front();
      stopped = stopped_;
    }
    job->failure = stopped ? Failure(ECANCELED, "environment is ending") : job->Enter();
    if (!job->failure) job->Work(stopping_);
    spent = job->spendsThread();
    channel_->Post(job);
  }
}

void JobPool::Reap() {
  std::list<Worker> ended;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    for (auto at = workers_.begin(); at != workers_.end();) {
      const auto next = std::next(at);
      if (at->ended) ended.splice(ended.end(), workers_, at);
      at = next;
    }
  }
  // Joined here, outside the lock: they have nothing left to do but return.
}

void JobPool::Stop() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (stopped_) return;
    stopped_ = true;
  }
  stopping_.Raise();
  for (Worker& worker : workers_) worker.thread.Join();
  workers_.clear();
}

}  // namespace hybridnet
