// RouteSocket's native half: a thread of its own that entered the namespace, opened the socket there and serves batches
// and dumps one after the other, so that neither the event loop nor libuv's pool ever waits for the RTNL lock or a
// grace period.
#include <errno.h>
#include <fcntl.h>

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>

#include "addon.h"
#include "connection.h"
#include "netns.h"
#include "thread.h"

namespace hybridnet {

namespace {

class SocketJob : public Completion {
 public:
  explicit SocketJob(Napi::Env env, Napi::Object owner) : Completion(env), owner_(Napi::Persistent(owner)) {}
  virtual void Work(Connection& connection, const std::atomic<bool>& stop) = 0;

 protected:
  void Settle(Napi::Env) override { owner_.Reset(); }

 private:
  // A socket with work in flight is not garbage.
  Napi::ObjectReference owner_;
};

class BatchJob final : public SocketJob {
 public:
  BatchJob(Napi::Env env, Napi::Object owner, Napi::Uint32Array words, size_t size, size_t count)
      : SocketJob(env, owner),
        keep_(Napi::Persistent(words.As<Napi::Object>())),
        words_(words.Data()),
        size_(size),
        count_(count) {}

  void Work(Connection& connection, const std::atomic<bool>& stop) override {
    failure = connection.Batch(words_, size_, count_, stop, &refusals_);
  }

 protected:
  void Settle(Napi::Env env) override {
    keep_.Reset();
    SocketJob::Settle(env);
  }

  /** null, or [triples of (index, errno, offset), texts]. */
  Napi::Value Result(Napi::Env env) override {
    if (refusals_.empty()) return env.Null();
    Words numbers;
    uint32_t* number = numbers.Append(refusals_.size() * 3);
    Napi::Array texts = Napi::Array::New(env, refusals_.size());
    for (size_t i = 0; i < refusals_.size(); i++) {
      *number++ = refusals_[i].index;
      *number++ = static_cast<uint32_t>(refusals_[i].error);
      *number++ = refusals_[i].offset;
      texts.Set(static_cast<uint32_t>(i), refusals_[i].text);
    }
    Napi::Array result = Napi::Array::New(env, 2);
    result.Set(0U, ToUint32Array(env, std::move(numbers)));
    result.Set(1U, texts);
    return result;
  }

 private:
  // The caller's array is read in place: it must not be written to until the promise settles.
  Napi::ObjectReference keep_;
  const uint32_t* words_;
  size_t size_;
  size_t count_;
  std::vector<Refusal> refusals_;
};

class QueryJob final : public SocketJob, private Sink {
 public:
  /** @param onPiece undefined, or called with the records read so far while the dump goes on */
  QueryJob(Napi::Env env, Napi::Object owner, Query query, Napi::Value onPiece)
      : SocketJob(env, owner), query_(std::move(query)), channel_(ChannelOf(env)) {
    if (onPiece.IsFunction()) onPiece_ = Napi::Persistent(onPiece.As<Napi::Function>());
  }

  void Work(Connection& connection, const std::atomic<bool>& stop) override {
    failure = connection.Run(query_, stop, onPiece_.IsEmpty() ? nullptr : this, &words_);
    words_.Trim();
  }

 protected:
  void Settle(Napi::Env env) override {
    onPiece_.Reset();
    SocketJob::Settle(env);
  }
  Napi::Value Result(Napi::Env env) override { return ToUint32Array(env, std::move(words_)); }

 private:
  /** Posted before the job's own completion, hence run before it: the job outlives its pieces. */
  class Piece final : public Task {
   public:
    Piece(QueryJob* job, Words words) : job_(job), words_(std::move(words)) {}
    void Run(Napi::Env env) override {
      const Napi::Value value = words_.empty() ? env.Null() : ToUint32Array(env, std::move(words_));
      job_->onPiece_.Call({value});
    }

   private:
    QueryJob* job_;
    Words words_;
  };

  void Take(Words words) override { channel_.Post(new Piece(this, std::move(words))); }
  void Restart() override { channel_.Post(new Piece(this, Words())); }

  Query query_;
  Words words_;
  Channel& channel_;
  Napi::FunctionReference onPiece_;
};

std::vector<uint32_t> ToVector(const Napi::Value& value) {
  if (!value.IsTypedArray()) return {};
  const auto array = value.As<Napi::Uint32Array>();
  return {array.Data(), array.Data() + array.ElementLength()};
}

class Socket final : public Napi::ObjectWrap<Socket> {
 public:
  static Napi::Function Define(Napi::Env env) {
    return DefineClass(
        env, "Socket",
        {InstanceMethod<&Socket::Batch>("batch"), InstanceMethod<&Socket::Query_>("query"),
         InstanceMethod<&Socket::Interrupted>("interruptedDumps"), InstanceMethod<&Socket::Close>("close")});
  }

  /** new Socket(namespaceFd) */
  explicit Socket(const Napi::CallbackInfo& info) : ObjectWrap(info) {
    // Not wrapped, because the environment is going away: nobody would ever stop the thread.
    if (IsEmpty()) return;
    channel_ = &ChannelOf(info.Env());
    const Failure failure = StartInNamespace(
        &thread_, ToInt32(info[0]), [this] { return connection_.Open(); }, [this] { Serve(); });
    if (failure) {
      ToError(info.Env(), failure).ThrowAsJavaScriptException();
      return;
    }
    hook_.Register(
        info.Env(), [](void* self) { static_cast<Socket*>(self)->Stop(); }, this);
  }

  ~Socket() override { Stop(); }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;

 private:
  /** batch(words: Uint32Array, size: number, count: number): Promise<null | [Uint32Array, string[]]> */
  Napi::Value Batch(const Napi::CallbackInfo& info) {
    if (!info[0].IsTypedArray()) return Refuse(info.Env(), "batch: words must be a Uint32Array");
    const auto words = info[0].As<Napi::Uint32Array>();
    const size_t size = ToUint32(info[1]);
    const size_t count = ToUint32(info[2]);
    if (size > words.ElementLength()) return Refuse(info.Env(), "batch: size exceeds the array");
    return Submit(info.Env(), new BatchJob(info.Env(), info.This().As<Napi::Object>(), words, size, count));
  }

  /**
   * query(type, flags, body, plain | null, conditions: Uint32Array of triples, onPiece?): Promise<Uint32Array>
   *
   * With onPiece(words | null) a long dump comes in pieces, the last as the result; null voids those before.
   */
  Napi::Value Query_(const Napi::CallbackInfo& info) {
    Query query;
    query.type = static_cast<uint16_t>(ToUint32(info[0]));
    query.flags = static_cast<uint16_t>(ToUint32(info[1]));
    query.body = ToVector(info[2]);
    query.plain = ToVector(info[3]);
    const std::vector<uint32_t> triples = ToVector(info[4]);
    const uint32_t words = RecordWords(query.type);
    for (size_t i = 0; i + 2 < triples.size(); i += 3) {
      if (triples[i] >= words) return Refuse(info.Env(), "query: condition outside the record");
      query.conditions.push_back({triples[i], triples[i + 1], triples[i + 2]});
    }
    return Submit(info.Env(), new QueryJob(info.Env(), info.This().As<Napi::Object>(), std::move(query), info[5]));
  }

  Napi::Value Interrupted(const Napi::CallbackInfo& info) { return Napi::Number::New(info.Env(), interrupted_.load()); }

  Napi::Value Close(const Napi::CallbackInfo& info) {
    hook_.Forget();
    Stop();
    return info.Env().Undefined();
  }

  static Napi::Value Refuse(Napi::Env env, const char* why) {
    Napi::TypeError::New(env, why).ThrowAsJavaScriptException();
    return env.Undefined();
  }

  Napi::Value Submit(Napi::Env env, SocketJob* job) {
    const Napi::Value promise = job->promise();
    if (!promise.IsEmpty()) {
      const std::lock_guard<std::mutex> lock(mutex_);
      if (!stop_.load()) {
        jobs_.push_back(job);
        wake_.notify_one();
        return promise;
      }
    }
    job->failure = {EBADF, "netlink socket is closed"};
    ChannelOf(env).Post(job);
    return promise;
  }

  void Serve() {
    for (;;) {
      SocketJob* job = nullptr;
      {
        std::unique_lock<std::mutex> lock(mutex_);
        wake_.wait(lock, [this] { return stop_.load() || !jobs_.empty(); });
        if (jobs_.empty()) return;
        job = jobs_.front();
        jobs_.pop_front();
      }
      if (stop_.load()) {
        job->failure = {ECANCELED, "netlink socket is closed"};
      } else {
        job->Work(connection_, stop_);
        interrupted_.store(connection_.interruptedDumps());
      }
      channel_->Post(job);
    }
  }

  /** The job at work ends at its next message boundary; the waiting ones are answered with ECANCELED. */
  void Stop() {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      stop_.store(true);
      wake_.notify_one();
    }
    thread_.Join();
    connection_ = Connection();
  }

  Connection connection_;
  Channel* channel_ = nullptr;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<SocketJob*> jobs_;
  std::atomic<bool> stop_{false};
  std::atomic<uint32_t> interrupted_{0};
  CleanupHook hook_;
  Thread thread_;
};

}  // namespace

Napi::Function DefineSocket(Napi::Env env) { return Socket::Define(env); }

}  // namespace hybridnet
