#include "connection.h"

#include <errno.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "layout.h"

namespace hybridnet {

namespace {

constexpr uint32_t kMessagesPerSend = 128;
constexpr uint32_t kFdbMessagesPerSend = 64;
constexpr size_t kBytesPerSend = size_t{64} * 1024;
// The kernel never makes a dump datagram longer than this.
constexpr size_t kReceiveBytes = size_t{32} * 1024;
// A refused message is charged about 832 bytes; 128 of them fit even the default buffer, 1 MiB leaves room for texts.
constexpr int kSocketBytes = 1024 * 1024;
constexpr int kDumpAttempts = 10;
// A piece of a dump for a Sink: some 3000 routes, 1 ms of JavaScript.
constexpr size_t kPieceWords = size_t{64} * 1024;
// rtnetlink answers before send returns; waiting at all means a reply was lost.
constexpr int kReplyMilliseconds = 10000;

void ForceBuffer(int fd, int forced, int ordinary, int bytes) {
  // The forced variant needs CAP_NET_ADMIN in the initial user namespace; the other one stops at net.core.?mem_max.
  if (setsockopt(fd, SOL_SOCKET, forced, &bytes, sizeof bytes) != 0) {
    setsockopt(fd, SOL_SOCKET, ordinary, &bytes, sizeof bytes);
  }
}

bool IsFdb(uint16_t type, const uint32_t* record) {
  return (type == RTM_NEWNEIGH || type == RTM_DELNEIGH) && (record[NeighLayout::kHeader] & 0xff) == AF_BRIDGE;
}

bool Satisfies(const uint32_t* record, const std::vector<Condition>& conditions) {
  for (const Condition& condition : conditions) {
    if ((record[condition.word] & condition.mask) != condition.value) return false;
  }
  return true;
}

}  // namespace

Failure OpenNetlink(int family, int receiveBytes, Fd* out) {
  Fd fd(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, family));
  if (!fd.valid()) return {errno, "open netlink socket"};
  sockaddr_nl address = {};
  address.nl_family = AF_NETLINK;
  if (bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    return {errno, "bind netlink socket"};
  }
  ForceBuffer(fd.get(), SO_RCVBUFFORCE, SO_RCVBUF, receiveBytes);
  ForceBuffer(fd.get(), SO_SNDBUFFORCE, SO_SNDBUF, kSocketBytes);
  const int on = 1;
  // Kernels before 4.12 know neither; errors then come without text.
  setsockopt(fd.get(), SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof on);
  setsockopt(fd.get(), SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof on);
  *out = std::move(fd);
  return {};
}

Failure JoinGroup(const Fd& fd, int group, const std::string& what) {
  if (setsockopt(fd.get(), SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof group) == 0) return {};
  return {errno, "subscribe to " + what};
}

Failure ParseError(const nlmsghdr* message) {
  Failure failure;
  const auto* bytes = reinterpret_cast<const uint8_t*>(message);
  const size_t length = message->nlmsg_len;
  size_t at = NLMSG_HDRLEN + sizeof(int);
  if (length < at) return failure;
  int error = 0;
  memcpy(&error, bytes + NLMSG_HDRLEN, sizeof error);
  failure.error = -error;
  if (error == 0 || (message->nlmsg_flags & NLM_F_ACK_TLVS) == 0) return failure;
  if (message->nlmsg_type == NLMSG_ERROR) {
    // After the error number stands the refused message: its header only when capped.
    if (length < at + sizeof(nlmsghdr)) return failure;
    nlmsghdr refused = {};
    memcpy(&refused, bytes + at, sizeof refused);
    at += (message->nlmsg_flags & NLM_F_CAPPED) != 0 ? sizeof refused : NLMSG_ALIGN(refused.nlmsg_len);
  }
  while (at + NLA_HDRLEN <= length) {
    nlattr attribute = {};
    memcpy(&attribute, bytes + at, sizeof attribute);
    if (attribute.nla_len < NLA_HDRLEN || at + attribute.nla_len > length) break;
    const uint8_t* payload = bytes + at + NLA_HDRLEN;
    const size_t payloadLength = attribute.nla_len - NLA_HDRLEN;
    const int type = attribute.nla_type & NLA_TYPE_MASK;
    if (type == NLMSGERR_ATTR_MSG) {
      const auto* text = reinterpret_cast<const char*>(payload);
      failure.text.assign(text, strnlen(text, payloadLength));
    } else if (type == NLMSGERR_ATTR_OFFS && payloadLength >= sizeof failure.offset) {
      memcpy(&failure.offset, payload, sizeof failure.offset);
    }
    at += NLA_ALIGN(attribute.nla_len);
  }
  return failure;
}

Failure Connection::Open() {
  Failure failure = OpenNetlink(NETLINK_ROUTE, kSocketBytes, &fd_);
  if (failure) return failure;
  buffer_.reset(new uint64_t[kReceiveBytes / sizeof(uint64_t)]);
  Strict(true);
  return {};
}

bool Connection::Strict(bool on) {
  const int value = on ? 1 : 0;
  // Kernels before 5.0 do not know it; Query::conditions do the work there.
  strict_ = setsockopt(fd_.get(), SOL_NETLINK, NETLINK_GET_STRICT_CHK, &value, sizeof value) == 0 && on;
  return strict_;
}

ssize_t Connection::Receive() {
  for (;;) {
    iovec part = {buffer_.get(), kReceiveBytes};
    sockaddr_nl from = {};
    msghdr header = {};
    header.msg_name = &from;
    header.msg_namelen = sizeof from;
    header.msg_iov = &part;
    header.msg_iovlen = 1;
    // The answer is there already, as a rule: no poll(2) before.
    const ssize_t length = recvmsg(fd_.get(), &header, MSG_DONTWAIT);
    if (length < 0 && errno == EAGAIN) {
      pollfd wait = {fd_.get(), POLLIN, 0};
      const int ready = poll(&wait, 1, kReplyMilliseconds);
      if (ready == 0) errno = ETIMEDOUT;
      if (ready > 0 || (ready < 0 && errno == EINTR)) continue;
      return -1;
    }
    if (length < 0 && errno == EINTR) continue;
    if (length < 0) return -1;
    if (from.nl_pid != 0) continue;  // only the kernel may answer
    if ((header.msg_flags & MSG_TRUNC) != 0) {
      errno = EMSGSIZE;
      return -1;
    }
    return length;
  }
}

Failure Connection::Batch(const uint32_t* words, size_t size, size_t count, const std::atomic<bool>& stop,
                          std::vector<Refusal>* refusals) {
  // A malformed stream is a defect of the caller; found before the first send, so that nothing is half done.
  size_t at = 0;
  for (size_t i = 0; i < count; i++) {
    if (size - at < kStreamHeaderWords || size - at < StreamWords(words[at + 1]) ||
        words[at + 1] < RecordWords(static_cast<uint16_t>(words[at]))) {
      return {EINVAL, "malformed batch"};
    }
    at += StreamWords(words[at + 1]);
  }
  at = 0;
  uint32_t index = 0;
  while (index < count) {
    if (stop.load()) return {ECANCELED, "batch"};
    builder_.Clear();
    const uint32_t first = index;
    uint32_t limit = kMessagesPerSend;
    while (index < count && index - first < limit && builder_.size() < kBytesPerSend) {
      const auto type = static_cast<uint16_t>(words[at]);
      const auto flags = static_cast<uint16_t>(words[at] >> 16);
      const uint32_t* record = words + at + kStreamHeaderWords;
      if (IsFdb(type, record)) {
        limit = kFdbMessagesPerSend;
        if (index - first >= limit) break;
      }
      builder_.Begin(type, static_cast<uint16_t>(flags | NLM_F_REQUEST), sequence_ + index - first);
      if (!EncodeRecord(type, record, words[at + 1], builder_)) return {EINVAL, "malformed record in batch"};
      builder_.End();
      at += StreamWords(words[at + 1]);
      index++;
    }
    builder_.AddFlag(NLM_F_ACK);
    SendChunk(first, index - first, refusals);
    sequence_ += index - first;
  }
  return {};
}

void Connection::SendChunk(uint32_t firstIndex, uint32_t count, std::vector<Refusal>* refusals) {
  const size_t before = refusals->size();
  // Whatever has not been refused by name shares the fate of the send.
  const auto refuseRest = [&](int error, const char* text) {
    std::vector<bool> known(count, false);
    for (size_t i = before; i < refusals->size(); i++) known[(*refusals)[i].index - firstIndex] = true;
    for (uint32_t i = 0; i < count; i++) {
      if (!known[i]) refusals->push_back({firstIndex + i, error, 0, text});
    }
  };
  ssize_t sent = 0;
  do {
    sent = send(fd_.get(), builder_.data(), builder_.size(), 0);
  } while (sent < 0 && errno == EINTR);
  if (sent < 0) return refuseRest(errno, "");
  for (;;) {
    const ssize_t length = Receive();
    if (length < 0) return refuseRest(errno, "the kernel's answer was lost; the request may have been carried out");
    const auto* message = reinterpret_cast<const nlmsghdr*>(buffer_.get());
    auto left = static_cast<int>(length);
    for (; NLMSG_OK(message, static_cast<uint32_t>(left)); message = NLMSG_NEXT(message, left)) {
      const uint32_t position = message->nlmsg_seq - sequence_;
      if (message->nlmsg_type != NLMSG_ERROR || position >= count) continue;
      Failure failure = ParseError(message);
      if (failure) {
        refusals->push_back({firstIndex + position, failure.error, failure.offset, std::move(failure.text)});
      }
      if (position == count - 1) return;
    }
  }
}

Failure Connection::Run(const Query& query, const std::atomic<bool>& stop, Sink* sink, Words* out) {
  bool plain = !strict_ && !query.plain.empty();
  for (int attempt = 0; attempt < kDumpAttempts; attempt++) {
    if (stop.load()) return {ECANCELED, "dump"};
    out->Truncate(0);
    if (attempt > 0 && sink != nullptr) sink->Restart();
    bool interrupted = false;
    const bool relax = plain && strict_;
    if (relax) Strict(false);
    Failure failure = Attempt(query, plain ? query.plain : query.body, stop, sink, out, &interrupted);
    if (relax) Strict(true);
    const bool refused = failure.error == EINVAL || failure.error == EOPNOTSUPP;
    if (refused && !plain && !query.plain.empty()) {
      plain = true;
      continue;
    }
    if (failure || !interrupted) return failure;
    interrupted_++;
    // Give whoever is changing the table the processor for a moment longer each time.
    const timespec pause = {0, 200000L * attempt};
    nanosleep(&pause, nullptr);
  }
  Failure failure(EINTR, "dump");
  failure.text = "a change interrupted each of 10 dumps";
  return failure;
}

Failure Connection::Attempt(const Query& query, const std::vector<uint32_t>& body, const std::atomic<bool>& stop,
                            Sink* sink, Words* out, bool* interrupted) {
  const bool dump = (query.flags & NLM_F_DUMP) == NLM_F_DUMP;
  builder_.Clear();
  const uint32_t sequence = sequence_++;
  builder_.Begin(query.type, static_cast<uint16_t>(NLM_F_REQUEST | query.flags | (dump ? 0 : NLM_F_ACK)), sequence);
  memcpy(builder_.Space(body.size() * 4), body.data(), body.size() * 4);
  builder_.End();
  ssize_t sent = 0;
  do {
    sent = send(fd_.get(), builder_.data(), builder_.size(), 0);
  } while (sent < 0 && errno == EINTR);
  if (sent < 0) return {errno, "send"};
  const bool isStream = RecordWords(query.type) == 0;
  for (;;) {
    const ssize_t length = Receive();
    if (length < 0) return {errno, "receive"};
    const auto* message = reinterpret_cast<const nlmsghdr*>(buffer_.get());
    auto left = static_cast<int>(length);
    for (; NLMSG_OK(message, static_cast<uint32_t>(left)); message = NLMSG_NEXT(message, left)) {
      if (message->nlmsg_seq != sequence) continue;
      if ((message->nlmsg_flags & NLM_F_DUMP_INTR) != 0) *interrupted = true;
      if (message->nlmsg_type == NLMSG_ERROR || message->nlmsg_type == NLMSG_DONE) {
        Failure failure = ParseError(message);
        failure.operation = dump ? "dump" : "query";
        return failure;
      }
      const size_t at = out->size();
      const bool decoded = isStream ? DecodeToStream(message, *out) : DecodeRecord(message, *out);
      const uint32_t* record = out->data() + at + (isStream ? kStreamHeaderWords : 0);
      if (decoded && !Satisfies(record, query.conditions)) out->Truncate(at);
    }
    if (sink != nullptr && out->size() >= kPieceWords) {
      sink->Take(std::move(*out));
      *out = Words();
    }
    // An abandoned dump would leave its rest in the socket; the socket itself is abandoned with it.
    if (stop.load()) return {ECANCELED, "dump"};
  }
}

}  // namespace hybridnet
