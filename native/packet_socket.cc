// Raw frames of one device (AF_PACKET), for ARP and neighbour discovery probes and announcements.
#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <string.h>
#include <sys/socket.h>

#include <deque>
#include <iterator>
#include <mutex>
#include <string>
#include <vector>

#include "addon.h"
#include "subscription.h"

namespace hybridnet {

namespace {

constexpr size_t kFrameBytes = size_t{64} * 1024;
/** Frames waiting for JavaScript; later ones are dropped and counted. */
constexpr size_t kMaxFrames = 256;
constexpr size_t kFramesPerCallback = 64;
/** Destination and source, before type or tag. */
constexpr size_t kMacsBytes = 12;

class PacketSocket final : public SubscriptionObject<PacketSocket> {
 public:
  static Napi::Function Define(Napi::Env env) {
    return DefineClass(env, "PacketSocket",
                       {InstanceMethod<&PacketSocket::Send>("send"), InstanceMethod<&PacketSocket::Dropped>("dropped"),
                        InstanceMethod("close", &PacketSocket::Close)});
  }

  /**
   * new PacketSocket(namespaceFd, index, etherType, allMulticast, filter, (frames: Buffer[]) => void); the filter is an
   * array of sock_filter as bytes, none when empty
   */
  explicit PacketSocket(const Napi::CallbackInfo& info) : SubscriptionObject(info), frame_(kFrameBytes) {
    const int index = ToInt32(info[1]);
    const auto protocol = static_cast<uint16_t>(ToUint32(info[2]));
    const bool allMulticast = ToBool(info[3]);
    std::vector<sock_filter> filter = ToFilter(info[4]);
    index_ = index;
    protocol_ = protocol;
    Run(
        info.Env(), info[0], info[5],
        [this, protocol, allMulticast, filter = std::move(filter)]() mutable {
          return Open(protocol, allMulticast, filter);
        },
        [this] { Read(); });
  }
  ~PacketSocket() override { Stop(); }
  PacketSocket(const PacketSocket&) = delete;
  PacketSocket& operator=(const PacketSocket&) = delete;

 private:
  static std::vector<sock_filter> ToFilter(const Napi::Value& value) {
    if (value.IsEmpty() || !value.IsTypedArray()) return {};
    const auto bytes = value.As<Napi::Uint8Array>();
    std::vector<sock_filter> filter(bytes.ByteLength() / sizeof(sock_filter));
    if (!filter.empty()) memcpy(filter.data(), bytes.Data(), filter.size() * sizeof(sock_filter));
    return filter;
  }

  Failure Open(uint16_t protocol, bool allMulticast, std::vector<sock_filter>& filter) {
    // Protocol 0 receives nothing: no frame of another device slips in before bind.
    fd_ = Fd(socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!fd_.valid()) return {errno, "open packet socket"};
    const int on = 1;
    if (setsockopt(fd_.get(), SOL_PACKET, PACKET_AUXDATA, &on, sizeof on) != 0) return {errno, "ask for VLAN tags"};
    if (!filter.empty()) {
      const sock_fprog program = {static_cast<uint16_t>(filter.size()), filter.data()};
      if (setsockopt(fd_.get(), SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) != 0) {
        return {errno, "attach filter of " + std::to_string(filter.size()) + " instructions"};
      }
    }
    if (allMulticast) {
      packet_mreq membership = {};
      membership.mr_ifindex = index_;
      membership.mr_type = PACKET_MR_ALLMULTI;
      if (setsockopt(fd_.get(), SOL_PACKET, PACKET_ADD_MEMBERSHIP, &membership, sizeof membership) != 0) {
        return {errno, "receive all multicast on device " + std::to_string(index_)};
      }
    }
    sockaddr_ll address = {};
    address.sll_family = AF_PACKET;
    address.sll_protocol = htons(protocol);
    address.sll_ifindex = index_;
    if (bind(fd_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
      return {errno, "bind packet socket to device " + std::to_string(index_)};
    }
    return {};
  }

  /** The kernel takes the tag out of the frame and tells it beside; put it back where it was on the wire. */
  static void InsertTag(const msghdr& message, std::vector<uint8_t>* frame) {
    const cmsghdr* header = CMSG_FIRSTHDR(&message);
    if (header == nullptr || header->cmsg_level != SOL_PACKET || header->cmsg_type != PACKET_AUXDATA) return;
    tpacket_auxdata aux;
    memcpy(&aux, CMSG_DATA(header), sizeof aux);
    if ((aux.tp_status & TP_STATUS_VLAN_VALID) == 0 || frame->size() < kMacsBytes) return;
    const uint16_t protocol = (aux.tp_status & TP_STATUS_VLAN_TPID_VALID) != 0 ? aux.tp_vlan_tpid : ETH_P_8021Q;
    const uint8_t tag[] = {static_cast<uint8_t>(protocol >> 8), static_cast<uint8_t>(protocol),
                           static_cast<uint8_t>(aux.tp_vlan_tci >> 8), static_cast<uint8_t>(aux.tp_vlan_tci)};
    frame->insert(frame->begin() + kMacsBytes, std::begin(tag), std::end(tag));
  }

  void Read() {
    while (Wait(fd_.get())) {
      sockaddr_ll from = {};
      alignas(cmsghdr) char control[CMSG_SPACE(sizeof(tpacket_auxdata))];
      iovec part = {frame_.data(), frame_.size()};
      msghdr message = {};
      message.msg_name = &from;
      message.msg_namelen = sizeof from;
      message.msg_iov = &part;
      message.msg_iovlen = 1;
      message.msg_control = control;
      message.msg_controllen = sizeof control;
      const ssize_t length = recvmsg(fd_.get(), &message, MSG_DONTWAIT);
      // ENETDOWN and ENETUNREACH report the device's state; it may come up again. Reading clears them.
      if (length < 0 || from.sll_pkttype == PACKET_OUTGOING) continue;
      // With a VLAN that has no device here, for instance: shown without their tags, as if they had none.
      if (protocol_ != ETH_P_ALL && from.sll_pkttype == PACKET_OTHERHOST) continue;
      // A parent's socket is shown the frames of its VLAN devices, too, without their tags.
      if (from.sll_ifindex != index_) continue;
      {
        const std::lock_guard<std::mutex> lock(mutex_);
        if (frames_.size() >= kMaxFrames) {
          dropped_++;
          continue;
        }
        frames_.emplace_back(frame_.begin(), frame_.begin() + length);
        InsertTag(message, &frames_.back());
      }
      Signal();
    }
  }

  void Deliver(Napi::Env env) override {
    std::deque<std::vector<uint8_t>> frames;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      for (size_t i = 0; i < kFramesPerCallback && !frames_.empty(); i++) {
        frames.push_back(std::move(frames_.front()));
        frames_.pop_front();
      }
      if (!frames_.empty()) Signal();
    }
    if (frames.empty()) return;
    Napi::Array array = Napi::Array::New(env, frames.size());
    for (uint32_t i = 0; i < frames.size(); i++) {
      array.Set(i, Napi::Buffer<uint8_t>::Copy(env, frames[i].data(), frames[i].size()));
    }
    callback_.Call({array});
  }

  /** send(frame): a whole Ethernet frame; throws when the device does not take it */
  Napi::Value Send(const Napi::CallbackInfo& info) {
    if (!info[0].IsTypedArray()) {
      Napi::TypeError::New(info.Env(), "send: frame must be a Uint8Array").ThrowAsJavaScriptException();
      return info.Env().Undefined();
    }
    const auto frame = info[0].As<Napi::Uint8Array>();
    if (send(fd_.get(), frame.Data(), frame.ElementLength(), MSG_DONTWAIT) < 0) {
      ToError(info.Env(), {errno, "send frame"}).ThrowAsJavaScriptException();
    }
    return info.Env().Undefined();
  }

  Napi::Value Dropped(const Napi::CallbackInfo& info) {
    const std::lock_guard<std::mutex> lock(mutex_);
    return Napi::Number::New(info.Env(), static_cast<double>(dropped_));
  }

  void Release() override { fd_.Reset(); }

  Fd fd_;
  int index_ = 0;
  uint16_t protocol_ = 0;
  std::vector<uint8_t> frame_;
  std::mutex mutex_;
  std::deque<std::vector<uint8_t>> frames_;
  uint64_t dropped_ = 0;
};

}  // namespace

Napi::Function DefinePacketSocket(Napi::Env env) { return PacketSocket::Define(env); }

}  // namespace hybridnet
