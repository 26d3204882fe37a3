// Notices changes of nftables tables by name: a netlink socket on NFNLGRP_NFTABLES, whose messages are not decoded
// beyond the name of the table. JavaScript gets one callback per wake-up with the number of commits that touched a
// watched table.
//
// A commit's messages end with NFT_MSG_NEWGEN (net/netfilter/nf_tables_api.c, nf_tables_commit), so commits of tables
// nobody watches, kube-proxy's for instance, cost a scan in this thread and nothing else.
#include <errno.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <string.h>
#include <sys/socket.h>

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "addon.h"
#include "connection.h"
#include "subscription.h"

namespace hybridnet {

namespace {

constexpr size_t kDatagramBytes = size_t{64} * 1024;
/** First attribute of every nftables message but NEWGEN's: the table's name (NFTA_TABLE_NAME, NFTA_CHAIN_TABLE, ...).
 */
constexpr uint16_t kTableAttribute = 1;

class NftMonitor final : public SubscriptionObject<NftMonitor> {
 public:
  static Napi::Function Define(Napi::Env env) {
    return DefineClass(env, "NftMonitor", {InstanceMethod("close", &NftMonitor::Close)});
  }

  /** new NftMonitor(namespaceFd, tables: string[], receiveBytes, (commits: number, lost: boolean, errno: number) =>
   * void)
   */
  explicit NftMonitor(const Napi::CallbackInfo& info)
      : SubscriptionObject(info), buffer_(new uint64_t[kDatagramBytes / 8]) {
    tables_ = ToTexts(info[1]);
    const int receiveBytes = ToInt32(info[2]);
    Run(
        info.Env(), info[0], info[3], [this, receiveBytes] { return Open(receiveBytes); }, [this] { Read(); });
  }
  ~NftMonitor() override { Stop(); }
  NftMonitor(const NftMonitor&) = delete;
  NftMonitor& operator=(const NftMonitor&) = delete;

 private:
  void Release() override { fd_.Reset(); }

  Failure Open(int receiveBytes) {
    Failure failure = OpenNetlink(NETLINK_NETFILTER, receiveBytes, &fd_);
    if (!failure) failure = JoinGroup(fd_, NFNLGRP_NFTABLES, "nftables changes");
    return failure;
  }

  void Read() {
    while (Wait(fd_.get())) {
      sockaddr_nl sender = {};
      socklen_t senderLength = sizeof sender;
      const ssize_t length = recvfrom(fd_.get(), buffer_.get(), kDatagramBytes, MSG_DONTWAIT | MSG_TRUNC,
                                      reinterpret_cast<sockaddr*>(&sender), &senderLength);
      if (length < 0 && (errno == EAGAIN || errno == EINTR)) continue;
      if (length < 0 && errno != ENOBUFS) {
        Report([error = errno](Pending& pending) { pending.error = error; });
        return;
      }
      if (length < 0 || static_cast<size_t>(length) > kDatagramBytes) {
        touched_ = false;
        Report([](Pending& pending) { pending.lost = true; });
        continue;
      }
      if (sender.nl_pid == 0) Scan(reinterpret_cast<const nlmsghdr*>(buffer_.get()), static_cast<uint32_t>(length));
    }
  }

  void Scan(const nlmsghdr* message, uint32_t length) {
    auto left = static_cast<int>(length);
    for (; NLMSG_OK(message, static_cast<uint32_t>(left)); message = NLMSG_NEXT(message, left)) {
      if (NFNL_SUBSYS_ID(message->nlmsg_type) != NFNL_SUBSYS_NFTABLES) continue;
      if (NFNL_MSG_TYPE(message->nlmsg_type) != NFT_MSG_NEWGEN) {
        touched_ = touched_ || IsWatched(message);
      } else if (touched_) {
        touched_ = false;
        Report([](Pending& pending) { pending.commits++; });
      }
    }
  }

  bool IsWatched(const nlmsghdr* message) const {
    const auto* data = static_cast<const uint8_t*>(NLMSG_DATA(message));
    size_t left = NLMSG_PAYLOAD(message, 0);
    if (left < sizeof(nfgenmsg)) return false;
    data += NLMSG_ALIGN(sizeof(nfgenmsg));
    left -= NLMSG_ALIGN(sizeof(nfgenmsg));
    while (left >= sizeof(nlattr)) {
      nlattr attribute;
      memcpy(&attribute, data, sizeof attribute);
      if (attribute.nla_len < sizeof(nlattr) || attribute.nla_len > left) return false;
      if ((attribute.nla_type & NLA_TYPE_MASK) == kTableAttribute) {
        const auto* text = reinterpret_cast<const char*>(data + NLA_HDRLEN);
        const std::string name(text, strnlen(text, attribute.nla_len - NLA_HDRLEN));
        for (const std::string& table : tables_) {
          if (table == name) return true;
        }
        return false;
      }
      const size_t step = NLA_ALIGN(attribute.nla_len);
      if (step >= left) return false;
      data += step;
      left -= step;
    }
    return false;
  }

  struct Pending {
    uint32_t commits = 0;
    bool lost = false;
    int error = 0;
  };

  template <typename Change>
  void Report(Change change) {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      change(pending_);
    }
    Signal();
  }

  void Deliver(Napi::Env env) override {
    Pending pending;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      std::swap(pending, pending_);
    }
    if (pending.commits == 0 && !pending.lost && pending.error == 0) return;
    callback_.Call({Napi::Number::New(env, pending.commits), Napi::Boolean::New(env, pending.lost),
                    Napi::Number::New(env, pending.error)});
  }

  std::vector<std::string> tables_;
  std::unique_ptr<uint64_t[]> buffer_;
  Fd fd_;
  /** Reader thread: the commit being read touched a watched table. */
  bool touched_ = false;
  std::mutex mutex_;
  Pending pending_;
};

}  // namespace

Napi::Function DefineNftMonitor(Napi::Env env) { return NftMonitor::Define(env); }

}  // namespace hybridnet
