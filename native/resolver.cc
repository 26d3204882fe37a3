// The neighbour resolver: answers the VXLAN device's questions (RTM_GETNEIGH multicast because of app_solicit) from a
// table, on a thread of its own, so that a first packet never waits for the event loop.
//
//   INCOMPLETE, address known      -> RTM_NEWNEIGH replace, NUD_REACHABLE with its MAC
//   INCOMPLETE, address unknown    -> reported to JavaScript once a second at most; answered when it is set within 10 s
//   PROBE, another MAC is known    -> RTM_NEWNEIGH replace with the new one (the pod moved)
//   PROBE otherwise                -> nothing: an unanswered probe of the right MAC is the truth
//
// A socket filter lets nothing but RTM_GETNEIGH through, so a flood of neighbour changes elsewhere cannot overrun it.
// Should it happen all the same, the device's INCOMPLETE entries are dumped and answered.
#include "resolver.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <stddef.h>
#include <sys/socket.h>
#include <time.h>

#include <iterator>

#include "addon.h"
#include "codec.h"
#include "connection.h"
#include "layout.h"
#include "subscription.h"

namespace hybridnet {

namespace {

constexpr int kSocketBytes = 8 * 1024 * 1024;
constexpr size_t kReceiveBytes = size_t{16} * 1024;
/** Questions answered with one send. */
constexpr size_t kAnswersPerSend = 64;
/** Words of one report to JavaScript: 6 per address. */
constexpr size_t kMissWords = 6;
constexpr size_t kMaxMissWords = 1024 * kMissWords;
constexpr size_t kBuckets = 16;

uint64_t NowMicroseconds() {
  timespec now = {};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1000000 + static_cast<uint64_t>(now.tv_nsec) / 1000;
}

/** Accepts RTM_GETNEIGH only. Classic BPF loads big-endian, netlink headers are host order. */
Failure AcceptOnlyQuestions(int fd) {
  const uint32_t wanted = htons(RTM_GETNEIGH);
  sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_H | BPF_ABS, offsetof(nlmsghdr, nlmsg_type)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, wanted, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
      BPF_STMT(BPF_RET | BPF_K, 0),
  };
  const sock_fprog program = {sizeof code / sizeof *code, code};
  if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) != 0) return {errno, "attach filter"};
  return {};
}

ResolverKey KeyOf(const uint32_t* record) {
  ResolverKey key = {};
  key.wide = (record[kPresence] >> (NeighLayout::kHasDst + 16) & 1) != 0;
  memcpy(key.bytes, record + NeighLayout::kDst, key.wide ? 16 : 4);
  return key;
}

struct Counters {
  std::atomic<uint64_t> answered{0};
  std::atomic<uint64_t> missed{0};
  std::atomic<uint64_t> suppressed{0};
  std::atomic<uint64_t> dropped{0};
  std::atomic<uint64_t> overruns{0};
  std::atomic<uint64_t> refused{0};
  std::atomic<uint64_t> scans{0};
  std::atomic<uint64_t> lastError{0};
  std::atomic<uint64_t> latencyMax{0};
  std::atomic<uint64_t> latencySum{0};
  std::atomic<uint64_t> latency[kBuckets] = {};
};

class Resolver final : public SubscriptionObject<Resolver> {
 public:
  static Napi::Function Define(Napi::Env env) {
    return DefineClass(env, "Resolver",
                       {InstanceMethod<&Resolver::SetLink>("setLink"), InstanceMethod<&Resolver::Set>("set"),
                        InstanceMethod<&Resolver::Erase>("erase"), InstanceMethod<&Resolver::Stats>("stats"),
                        InstanceMethod("close", &Resolver::Close)});
  }

  /** new Resolver(namespaceFd, (misses: Uint32Array) => void) */
  explicit Resolver(const Napi::CallbackInfo& info) : SubscriptionObject(info) {
    Run(
        info.Env(), info[0], info[1], [this] { return Open(); }, [this] { Serve(); });
  }
  ~Resolver() override { Stop(); }
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;

 private:
  // --- JavaScript thread ---

  /** setLink(index): 0 for none */
  Napi::Value SetLink(const Napi::CallbackInfo& info) {
    link_.store(ToUint32(info[0]));
    scan_.store(true);
    wake_.Raise();
    return info.Env().Undefined();
  }

  /** set(words, count): count records of NeighLayout with dst and MAC */
  Napi::Value Set(const Napi::CallbackInfo& info) {
    uint32_t count = 0;
    const uint32_t* words = Records(info, &count);
    if (words == nullptr) return info.Env().Undefined();
    size_t wide = 0;
    for (size_t i = 0; i < count; i++) wide += KeyOf(words + i * NeighLayout::kWords).wide ? 1 : 0;
    // A single pod may be an update; making room for one more costs nothing either way.
    table_.Reserve(count - wide, wide);
    bool late = false;
    for (size_t i = 0; i < count; i++) {
      const uint32_t* record = words + i * NeighLayout::kWords;
      uint8_t mac[6];
      StoreMac(record, mac);
      const ResolverKey key = KeyOf(record);
      if (!table_.Set(key, mac)) continue;
      const std::lock_guard<std::mutex> lock(mutex_);
      late_.push_back(key);
      late = true;
    }
    if (late) wake_.Raise();
    return info.Env().Undefined();
  }

  /** erase(words, count): number erased */
  Napi::Value Erase(const Napi::CallbackInfo& info) {
    uint32_t count = 0;
    uint32_t erased = 0;
    const uint32_t* words = Records(info, &count);
    for (size_t i = 0; words != nullptr && i < count; i++) {
      if (table_.Erase(KeyOf(words + i * NeighLayout::kWords))) erased++;
    }
    return Napi::Number::New(info.Env(), erased);
  }

  const uint32_t* Records(const Napi::CallbackInfo& info, uint32_t* count) {
    *count = ToUint32(info[1]);
    if (info[0].IsTypedArray()) {
      const auto words = info[0].As<Napi::Uint32Array>();
      if (static_cast<size_t>(*count) * NeighLayout::kWords <= words.ElementLength()) return words.Data();
    }
    Napi::TypeError::New(info.Env(), "resolver: words must hold `count` records").ThrowAsJavaScriptException();
    return nullptr;
  }

  /** Float64Array: counters in the order of lib/netlink/resolver.ts, then the latency buckets. */
  Napi::Value Stats(const Napi::CallbackInfo& info) {
    const std::atomic<uint64_t>* counters[] = {
        &counters_.answered, &counters_.missed, &counters_.suppressed, &counters_.dropped,    &counters_.overruns,
        &counters_.refused,  &counters_.scans,  &counters_.lastError,  &counters_.latencyMax, &counters_.latencySum};
    constexpr size_t kCounters = std::size(counters);
    Napi::Float64Array values = Napi::Float64Array::New(info.Env(), kCounters + 2 + kBuckets);
    if (values.IsEmpty()) return values;
    for (size_t i = 0; i < kCounters; i++) values[i] = static_cast<double>(counters[i]->load());
    values[kCounters] = static_cast<double>(table_.size());
    values[kCounters + 1] = static_cast<double>(table_.bytes());
    for (size_t i = 0; i < kBuckets; i++) values[kCounters + 2 + i] = static_cast<double>(counters_.latency[i].load());
    return values;
  }

  void Release() override {
    listener_.Reset();
    sender_.Reset();
    scanner_ = Connection();
  }

  void Deliver(Napi::Env env) override {
    Words misses;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      misses = std::move(misses_);
    }
    if (!misses.empty()) callback_.Call({ToUint32Array(env, std::move(misses))});
  }

  // --- the resolver's thread ---

  Failure Open() {
    Failure failure = OpenNetlink(NETLINK_ROUTE, kSocketBytes, &listener_);
    if (!failure) failure = AcceptOnlyQuestions(listener_.get());
    if (!failure) failure = JoinGroup(listener_, RTNLGRP_NEIGH, "neighbours");
    if (!failure) failure = OpenNetlink(NETLINK_ROUTE, 1024 * 1024, &sender_);
    if (!failure) failure = scanner_.Open();
    return failure;
  }

  void Serve() {
    alignas(nlmsghdr) uint8_t buffer[kReceiveBytes];
    while (Wait(listener_.get())) {
      AnswerLate();
      if (scan_.exchange(false)) Scan();
      bool more = true;
      while (more && !stopping()) {
        more = ReceiveQuestions(buffer);
        SendAnswers();
      }
    }
  }

  /** Reads up to one send's worth. @return true when there may be more */
  bool ReceiveQuestions(uint8_t* buffer) {
    while (pending_ < kAnswersPerSend) {
      sockaddr_nl from = {};
      socklen_t fromLength = sizeof from;
      const ssize_t length = recvfrom(listener_.get(), buffer, kReceiveBytes, MSG_DONTWAIT,
                                      reinterpret_cast<sockaddr*>(&from), &fromLength);
      if (length < 0 && errno == EINTR) continue;
      if (length < 0 && errno == ENOBUFS) {
        counters_.overruns++;
        Scan();
        continue;
      }
      if (length < 0) {
        if (errno != EAGAIN) counters_.lastError = static_cast<uint64_t>(errno);
        return false;
      }
      if (from.nl_pid != 0) continue;
      if (pending_ == 0) received_ = NowMicroseconds();
      const auto* message = reinterpret_cast<const nlmsghdr*>(buffer);
      auto left = static_cast<int>(length);
      for (; NLMSG_OK(message, static_cast<uint32_t>(left)); message = NLMSG_NEXT(message, left)) {
        if (message->nlmsg_type != RTM_GETNEIGH) continue;
        scratch_.Truncate(0);
        if (DecodeRecord(message, scratch_)) Consider(scratch_.data());
      }
    }
    return true;
  }

  /** Answers or reports one neighbour the kernel is unsure about. */
  void Consider(const uint32_t* record) {
    const uint32_t link = link_.load();
    if (link == 0 || record[NeighLayout::kIndex] != link || (record[kPresence] >> NeighLayout::kHasDst & 1) == 0)
      return;
    const uint32_t state = record[NeighLayout::kState];
    const bool incomplete = (state & NUD_INCOMPLETE) != 0;
    if (!incomplete && (state & NUD_PROBE) == 0) return;
    const ResolverKey key = KeyOf(record);
    uint8_t mac[6];
    if (!table_.Find(key, mac)) {
      if (incomplete) Miss(key);
      return;
    }
    if (!incomplete) {
      uint8_t current[6];
      StoreMac(record, current);
      if (memcmp(current, mac, sizeof mac) == 0) return;
    }
    Answer(link, key, mac);
  }

  /** Equivalent to: `ip neigh replace ADDRESS lladdr MAC dev V nud reachable` */
  void Answer(uint32_t link, const ResolverKey& key, const uint8_t* mac) {
    uint32_t record[NeighLayout::kWords] = {};
    record[NeighLayout::kHeader] = (key.wide ? AF_INET6 : AF_INET) | static_cast<uint32_t>(RTN_UNICAST) << 16;
    record[NeighLayout::kIndex] = link;
    record[NeighLayout::kState] = NUD_REACHABLE;
    record[kPresence] =
        1U << NeighLayout::kHasDst | 1U << NeighLayout::kHasMac | (key.wide ? 1U << (NeighLayout::kHasDst + 16) : 0U);
    record[NeighLayout::kMac] = static_cast<uint32_t>(mac[0]) << 8 | mac[1];
    record[NeighLayout::kMac + 1] = static_cast<uint32_t>(mac[2]) << 24 | static_cast<uint32_t>(mac[3]) << 16 |
                                    static_cast<uint32_t>(mac[4]) << 8 | mac[5];
    memcpy(record + NeighLayout::kDst, key.bytes, key.wide ? 16 : 4);
    answers_.Begin(RTM_NEWNEIGH, NLM_F_REQUEST | NLM_F_CREATE | NLM_F_REPLACE, sequence_++);
    EncodeRecord(RTM_NEWNEIGH, record, NeighLayout::kWords, answers_);
    answers_.End();
    pending_++;
  }

  void SendAnswers() {
    if (pending_ == 0) return;
    ssize_t sent = 0;
    do {
      sent = send(sender_.get(), answers_.data(), answers_.size(), 0);
    } while (sent < 0 && errno == EINTR);
    if (sent < 0) {
      counters_.refused += pending_;
      counters_.lastError = static_cast<uint64_t>(errno);
    } else {
      const size_t refused = DrainRefusals();
      counters_.answered += pending_ - refused;
      counters_.refused += refused;
      Measure(pending_);
    }
    answers_.Clear();
    pending_ = 0;
  }

  /** No ACK was asked for: only refusals come back, and they are there when send returns. */
  size_t DrainRefusals() {
    alignas(nlmsghdr) uint8_t buffer[4096];
    size_t refused = 0;
    for (;;) {
      const ssize_t length = recv(sender_.get(), buffer, sizeof buffer, MSG_DONTWAIT);
      if (length < 0 && (errno == EINTR || errno == ENOBUFS)) continue;
      if (length <= 0) return refused;
      const auto* message = reinterpret_cast<const nlmsghdr*>(buffer);
      auto left = static_cast<int>(length);
      for (; NLMSG_OK(message, static_cast<uint32_t>(left)); message = NLMSG_NEXT(message, left)) {
        const Failure failure = ParseError(message);
        if (message->nlmsg_type != NLMSG_ERROR || !failure) continue;
        refused++;
        counters_.lastError = static_cast<uint64_t>(failure.error);
      }
    }
  }

  void Measure(size_t answers) {
    const uint64_t took = NowMicroseconds() - received_;
    size_t bucket = 0;
    while (bucket + 1 < kBuckets && took > uint64_t{1} << bucket) bucket++;
    counters_.latency[bucket] += answers;
    counters_.latencySum += took * answers;
    if (took > counters_.latencyMax.load()) counters_.latencyMax = took;
  }

  void Miss(const ResolverKey& key) {
    if (!table_.NoteMiss(key)) {
      counters_.suppressed++;
      return;
    }
    counters_.missed++;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      if (misses_.size() >= kMaxMissWords) {
        counters_.dropped++;
        return;
      }
      uint32_t* report = misses_.Append(kMissWords);
      report[0] = key.wide ? 1 : 0;
      memcpy(report + 2, key.bytes, key.wide ? 16 : 4);
    }
    Signal();
  }

  /** What the kernel asked for in vain and is known by now. */
  void AnswerLate() {
    std::vector<ResolverKey> late;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      late.swap(late_);
    }
    const uint32_t link = link_.load();
    received_ = NowMicroseconds();
    for (const ResolverKey& key : late) {
      uint8_t mac[6];
      if (link != 0 && table_.Find(key, mac)) Answer(link, key, mac);
      if (pending_ >= kAnswersPerSend) SendAnswers();
    }
    SendAnswers();
  }

  /** Equivalent to: `ip neigh show dev V nud incomplete`, each answered. */
  void Scan() {
    const uint32_t link = link_.load();
    if (link == 0) return;
    SendAnswers();
    counters_.scans++;
    Query query;
    query.type = RTM_GETNEIGH;
    query.flags = NLM_F_DUMP;
    // struct ndmsg, then NDA_IFINDEX
    query.plain = {AF_UNSPEC, 0, 0};
    query.body = {AF_UNSPEC, 0, 0, 8U | NDA_IFINDEX << 16, link};
    query.conditions = {{NeighLayout::kIndex, UINT32_MAX, link}, {NeighLayout::kState, NUD_INCOMPLETE, NUD_INCOMPLETE}};
    Words found;
    const Failure failure = scanner_.Run(query, stopFlag(), nullptr, &found);
    if (failure) {
      counters_.lastError = static_cast<uint64_t>(failure.error);
      return;
    }
    received_ = NowMicroseconds();
    for (size_t at = 0; at + NeighLayout::kWords <= found.size(); at += NeighLayout::kWords) {
      Consider(found.data() + at);
      if (pending_ >= kAnswersPerSend) SendAnswers();
    }
    SendAnswers();
  }

  static void StoreMac(const uint32_t* record, uint8_t* mac) {
    const uint32_t high = record[NeighLayout::kMac];
    const uint32_t low = record[NeighLayout::kMac + 1];
    const uint8_t bytes[6] = {static_cast<uint8_t>(high >> 8), static_cast<uint8_t>(high),
                              static_cast<uint8_t>(low >> 24), static_cast<uint8_t>(low >> 16),
                              static_cast<uint8_t>(low >> 8),  static_cast<uint8_t>(low)};
    memcpy(mac, bytes, sizeof bytes);
  }

  ResolverTable table_;
  Counters counters_;
  std::atomic<uint32_t> link_{0};
  std::atomic<bool> scan_{false};
  /** Guards what crosses threads besides the table: reports up, late answers down. */
  std::mutex mutex_;
  Words misses_;
  std::vector<ResolverKey> late_;
  // The thread's own.
  Fd listener_;
  Fd sender_;
  Connection scanner_;
  Builder answers_;
  Words scratch_;
  size_t pending_ = 0;
  uint32_t sequence_ = 1;
  uint64_t received_ = 0;
};

}  // namespace

Napi::Function DefineResolver(Napi::Env env) { return Resolver::Define(env); }

}  // namespace hybridnet
