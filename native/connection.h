// One rtnetlink socket: batches, dumps, single queries. System calls and sequence numbers only; the messages are
// codec.cc's. Used by one thread at a time.
#pragma once

#include <atomic>
#include <memory>
#include <vector>

#include "codec.h"
#include "failure.h"
#include "fd.h"

namespace hybridnet {

/** Opens a netlink socket with extended ACKs and, as far as the kernel lets us, `receiveBytes` of buffer. */
Failure OpenNetlink(int family, int receiveBytes, Fd* out);

/** NETLINK_ADD_MEMBERSHIP. `what` is for the error: "subscribe to WHAT". */
Failure JoinGroup(const Fd& fd, int group, const std::string& what);

/** One refused request of a batch, by its position. */
struct Refusal {
  uint32_t index;
  int error;
  uint32_t offset;
  std::string text;
};

/** Keep a decoded record only if `(record[word] & mask) == value` for each. */
struct Condition {
  uint32_t word;
  uint32_t mask;
  uint32_t value;
};

struct Query {
  uint16_t type = 0;
  /** NLM_F_DUMP for a dump; without, one object is asked for. */
  uint16_t flags = 0;
  /** Fixed header and attributes, for a kernel that filters. */
  std::vector<uint32_t> body;
  /** Fixed header only, for one that refuses the filter of `body`. Empty: no second attempt. */
  std::vector<uint32_t> plain;
  std::vector<Condition> conditions;
};

/** Takes a dump piece by piece, on the thread that reads it. */
class Sink {
 public:
  virtual ~Sink() = default;
  /** Some whole records; the last ones come as the result of Run. */
  virtual void Take(Words words) = 0;
  /** What was taken so far is void: the dump was interrupted and starts again. */
  virtual void Restart() = 0;
};

class Connection {
 public:
  Failure Open();

  /**
   * Sends the stream of `count` requests: 128 messages a send (64 of the FDB, which is what its allocator likes), ACK
   * on the last of each send only. A refused request stops nothing and costs one entry in `refusals`.
   *
   * @return a failure of the batch as a whole (malformed stream), before anything was sent
   */
  Failure Batch(const uint32_t* words, size_t size, size_t count, const std::atomic<bool>& stop,
                std::vector<Refusal>* refusals);

  /**
   * Dump or single query. An interrupted dump (NLM_F_DUMP_INTR) is done again, up to 10 times, then fails with EINTR.
   * A filter the kernel refuses is replaced by the conditions alone, which hold either way.
   *
   * @param sink takes the records of a long dump while it is still being read; null: all of them come in `out`
   */
  Failure Run(const Query& query, const std::atomic<bool>& stop, Sink* sink, Words* out);

  /** Dumps done again because a change interrupted them. */
  uint32_t interruptedDumps() const { return interrupted_; }

 private:
  struct Reply {
    bool interrupted = false;
    Failure failure;
  };

  void SendChunk(uint32_t firstIndex, uint32_t count, std::vector<Refusal>* refusals);
  Failure Attempt(const Query& query, const std::vector<uint32_t>& body, const std::atomic<bool>& stop, Sink* sink,
                  Words* out, bool* interrupted);
  /** One datagram into the buffer. @return its length, or -1 with errno */
  ssize_t Receive();
  bool Strict(bool on);

  Fd fd_;
  Builder builder_;
  std::unique_ptr<uint64_t[]> buffer_;
  uint32_t sequence_ = 0;
  uint32_t interrupted_ = 0;
  bool strict_ = false;
};

/** The error, text and attribute offset of an NLMSG_ERROR or NLMSG_DONE message; error 0 is an ACK. */
Failure ParseError(const nlmsghdr* message);

}  // namespace hybridnet
