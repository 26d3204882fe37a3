// Notifications of one namespace: a reader thread with a forced 8 MiB receive buffer decodes into a bounded queue;
// JavaScript gets one callback per wake-up with at most one chunk. What was lost on the way (the kernel's buffer or
// ours) is said.
#include <errno.h>
#include <linux/netlink.h>
#include <sys/socket.h>

#include <deque>
#include <memory>
#include <mutex>

#include "addon.h"
#include "codec.h"
#include "connection.h"
#include "subscription.h"

namespace hybridnet {

namespace {

constexpr int kDatagrams = 32;
constexpr size_t kDatagramBytes = size_t{16} * 1024;
/** Words of one callback: some 3000 events, 1 to 3 ms of JavaScript. */
constexpr size_t kChunkWords = size_t{64} * 1024;

enum class Loss : uint8_t { kNone, kKernelBuffer, kQueue };

struct Chunk {
  Words words;
  /** What was lost after these events. */
  Loss loss = Loss::kNone;
  /** The errno that ended the reading. */
  int error = 0;
};

class Monitor final : public SubscriptionObject<Monitor> {
 public:
  static Napi::Function Define(Napi::Env env) {
    return DefineClass(env, "Monitor", {InstanceMethod("close", &Monitor::Close)});
  }

  /** new Monitor(namespaceFd, groups, receiveBytes, queueBytes, (words: Uint32Array, loss: 0 | 1 | 2, errno) => void)
   */
  explicit Monitor(const Napi::CallbackInfo& info) : SubscriptionObject(info) {
    const uint32_t groups = ToUint32(info[1]);
    const int receiveBytes = ToInt32(info[2]);
    queueWords_ = ToUint32(info[3]) / sizeof(uint32_t);
    buffer_.reset(new uint64_t[kDatagrams * kDatagramBytes / sizeof(uint64_t)]);
    Run(
        info.Env(), info[0], info[4], [this, groups, receiveBytes] { return Open(groups, receiveBytes); },
        [this] { Read(); });
  }
  ~Monitor() override { Stop(); }
  Monitor(const Monitor&) = delete;
  Monitor& operator=(const Monitor&) = delete;

 private:
  void Release() override { fd_.Reset(); }

  Failure Open(uint32_t groups, int receiveBytes) {
    Failure failure = OpenNetlink(NETLINK_ROUTE, receiveBytes, &fd_);
    for (int group = 1; !failure && group <= 32; group++) {
      if ((groups >> (group - 1) & 1) != 0) failure = JoinGroup(fd_, group, "rtnetlink group " + std::to_string(group));
    }
    return failure;
  }

  void Read() {
    iovec parts[kDatagrams];
    mmsghdr headers[kDatagrams] = {};
    sockaddr_nl senders[kDatagrams] = {};
    for (int i = 0; i < kDatagrams; i++) {
      parts[i] = {Datagram(i), kDatagramBytes};
      headers[i].msg_hdr.msg_iov = &parts[i];
      headers[i].msg_hdr.msg_iovlen = 1;
      headers[i].msg_hdr.msg_name = &senders[i];
    }
    while (Wait(fd_.get())) {
      for (auto& header : headers) header.msg_hdr.msg_namelen = sizeof(sockaddr_nl);
      const int count = recvmmsg(fd_.get(), headers, kDatagrams, MSG_DONTWAIT, nullptr);
      if (count < 0 && (errno == EAGAIN || errno == EINTR)) continue;
      if (count < 0 && errno != ENOBUFS) {
        Put([error = errno](Chunk& chunk) { chunk.error = error; });
        Signal();
        return;
      }
      if (count < 0) Lose(Loss::kKernelBuffer);
      for (int i = 0; i < count; i++) {
        if (senders[i].nl_pid != 0) continue;
        if ((headers[i].msg_hdr.msg_flags & MSG_TRUNC) != 0) {
          Lose(Loss::kKernelBuffer);
          continue;
        }
        Decode(reinterpret_cast<const nlmsghdr*>(Datagram(i)), headers[i].msg_len);
      }
      Signal();
    }
  }

  uint8_t* Datagram(int i) {
    return reinterpret_cast<uint8_t*>(buffer_.get()) + kDatagramBytes * static_cast<size_t>(i);
  }

  void Decode(const nlmsghdr* message, uint32_t length) {
    const std::lock_guard<std::mutex> lock(mutex_);
    auto left = static_cast<int>(length);
    for (; NLMSG_OK(message, static_cast<uint32_t>(left)); message = NLMSG_NEXT(message, left)) {
      if (message->nlmsg_type < NLMSG_MIN_TYPE) continue;
      if (queued_ > queueWords_) {
        // Nobody is reading. All of it must be dumped again anyway, so none of it is worth keeping.
        queue_.clear();
        queued_ = 0;
        queue_.emplace_back();
        queue_.back().loss = Loss::kQueue;
      }
      Words& words = Tail().words;
      const size_t before = words.size();
      DecodeToStream(message, words);
      queued_ += words.size() - before;
    }
  }

  /** The chunk to append to; with the lock held. */
  Chunk& Tail() {
    if (queue_.empty() || queue_.back().loss != Loss::kNone || queue_.back().words.size() >= kChunkWords) {
      queue_.emplace_back();
    }
    return queue_.back();
  }

  template <typename Change>
  void Put(Change change) {
    const std::lock_guard<std::mutex> lock(mutex_);
    change(Tail());
  }

  void Lose(Loss loss) {
    Put([loss](Chunk& chunk) { chunk.loss = loss; });
  }

  void Deliver(Napi::Env env) override {
    Chunk chunk;
    bool more = false;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      if (queue_.empty()) return;
      chunk = std::move(queue_.front());
      queue_.pop_front();
      queued_ -= chunk.words.size();
      more = !queue_.empty();
    }
    if (more) Signal();
    const auto loss = static_cast<uint32_t>(chunk.loss);
    const int error = chunk.error;
    callback_.Call(
        {ToUint32Array(env, std::move(chunk.words)), Napi::Number::New(env, loss), Napi::Number::New(env, error)});
  }

  Fd fd_;
  std::unique_ptr<uint64_t[]> buffer_;
  std::mutex mutex_;
  std::deque<Chunk> queue_;
  size_t queued_ = 0;
  size_t queueWords_;
};

}  // namespace

Napi::Function DefineMonitor(Napi::Env env) { return Monitor::Define(env); }

}  // namespace hybridnet
