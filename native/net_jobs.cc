// Sockets and echoes inside a namespace: TCP for servers and BGP, ICMP for connectivity checks.
#include <errno.h>
#include <linux/tcp.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>

#include <string>
#include <vector>

#include "addon.h"
#include "jobs.h"

#ifndef IPV6_MINHOPCOUNT
#define IPV6_MINHOPCOUNT 73
#endif

namespace hybridnet {

namespace {

struct Endpoint {
  sockaddr_storage storage = {};
  socklen_t length = 0;
  int family() const { return storage.ss_family; }
  const sockaddr* address() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

/** From 4 or 16 bytes of network order; family 0 for anything else. */
Endpoint ToEndpoint(const Napi::Value& value, uint16_t port, uint32_t scope) {
  Endpoint endpoint;
  if (value.IsEmpty() || !value.IsTypedArray()) return endpoint;
  const auto bytes = value.As<Napi::Uint8Array>();
  if (bytes.ElementLength() == 4) {
    auto* inet = reinterpret_cast<sockaddr_in*>(&endpoint.storage);
    inet->sin_family = AF_INET;
    inet->sin_port = htons(port);
    memcpy(&inet->sin_addr, bytes.Data(), 4);
    endpoint.length = sizeof *inet;
  } else if (bytes.ElementLength() == 16) {
    auto* inet6 = reinterpret_cast<sockaddr_in6*>(&endpoint.storage);
    inet6->sin6_family = AF_INET6;
    inet6->sin6_port = htons(port);
    inet6->sin6_scope_id = scope;
    memcpy(&inet6->sin6_addr, bytes.Data(), 16);
    endpoint.length = sizeof *inet6;
  }
  return endpoint;
}

struct Md5Key {
  Endpoint peer;
  uint8_t prefixLength;
  std::string key;
};

struct TcpOptions {
  /** 0: the system's. */
  int ttl = 0;
  /** RFC 5082: packets below it are dropped by the kernel. 0: off. */
  int minTtl = 0;
  bool onlyV6 = false;
  std::vector<Md5Key> md5;
};

/** { ttl, minTtl, onlyV6, md5: [address bytes, prefix length, key][] } */
TcpOptions ToTcpOptions(const Napi::Value& object) {
  TcpOptions options;
  options.ttl = ToInt32(Property(object, "ttl"));
  options.minTtl = ToInt32(Property(object, "minTtl"));
  options.onlyV6 = ToBool(Property(object, "onlyV6"));
  const Napi::Value keys = Property(object, "md5");
  for (uint32_t i = 0; i < LengthOf(keys); i++) {
    const Napi::Value key = Element(keys, i);
    options.md5.push_back(
        {ToEndpoint(Element(key, 0), 0, 0), static_cast<uint8_t>(ToUint32(Element(key, 1))), ToText(Element(key, 2))});
  }
  return options;
}

Failure SetInt(int fd, int level, int option, int value, const char* name) {
  if (setsockopt(fd, level, option, &value, sizeof value) != 0) return {errno, std::string("set ") + name};
  return {};
}

/** RFC 2385. An empty key removes the peer's. */
Failure SetMd5(int fd, const Md5Key& key) {
  tcp_md5sig request = {};
  if (key.key.size() > TCP_MD5SIG_MAXKEYLEN) return {EINVAL, "set TCP MD5 key: longer than 80 bytes"};
  memcpy(&request.tcpm_addr, &key.peer.storage, sizeof key.peer.storage);
  request.tcpm_flags = TCP_MD5SIG_FLAG_PREFIX;
  request.tcpm_prefixlen = key.prefixLength;
  request.tcpm_keylen = static_cast<uint16_t>(key.key.size());
  memcpy(request.tcpm_key, key.key.data(), key.key.size());
  if (setsockopt(fd, IPPROTO_TCP, TCP_MD5SIG_EXT, &request, sizeof request) == 0) return {};
  if (key.key.empty() && errno == ENOENT) return {};
  return {errno, "set TCP MD5 key"};
}

Failure Configure(int fd, int family, const TcpOptions& options) {
  const bool v6 = family == AF_INET6;
  Failure failure;
  if (options.ttl > 0) {
    failure = v6 ? SetInt(fd, IPPROTO_IPV6, IPV6_UNICAST_HOPS, options.ttl, "IPV6_UNICAST_HOPS")
                 : SetInt(fd, IPPROTO_IP, IP_TTL, options.ttl, "IP_TTL");
  }
  if (!failure && options.minTtl > 0) {
    failure = v6 ? SetInt(fd, IPPROTO_IPV6, IPV6_MINHOPCOUNT, options.minTtl, "IPV6_MINHOPCOUNT")
                 : SetInt(fd, IPPROTO_IP, IP_MINTTL, options.minTtl, "IP_MINTTL");
  }
  for (const Md5Key& key : options.md5) {
    if (!failure) failure = SetMd5(fd, key);
  }
  return failure;
}

/** A job whose result is a descriptor: closed when nobody is left to take it. */
class DescriptorJob : public Job {
 public:
  using Job::Job;

 protected:
  Napi::Value Result(Napi::Env env) override { return Napi::Number::New(env, fd_.Release()); }
  Fd fd_;
};

class ListenJob final : public DescriptorJob {
 public:
  ListenJob(Napi::Env env, int ns, Endpoint local, TcpOptions options)
      : DescriptorJob(env, ns), local_(local), options_(std::move(options)) {}

  void Work(const WakeUp&) override {
    Fd fd(socket(local_.family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_TCP));
    if (!fd.valid()) {
      failure = {errno, "open TCP socket"};
      return;
    }
    failure = SetInt(fd.get(), SOL_SOCKET, SO_REUSEADDR, 1, "SO_REUSEADDR");
    if (!failure && local_.family() == AF_INET6) {
      failure = SetInt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, options_.onlyV6 ? 1 : 0, "IPV6_V6ONLY");
    }
    if (!failure) failure = Configure(fd.get(), local_.family(), options_);
    if (!failure && bind(fd.get(), local_.address(), local_.length) != 0) failure = {errno, "bind"};
    if (!failure && listen(fd.get(), 511) != 0) failure = {errno, "listen"};
    if (!failure) fd_ = std::move(fd);
  }

 private:
  Endpoint local_;
  TcpOptions options_;
};

class ConnectJob final : public DescriptorJob {
 public:
  ConnectJob(Napi::Env env, int ns, Endpoint remote, Endpoint local, int milliseconds, TcpOptions options)
      : DescriptorJob(env, ns),
        remote_(remote),
        local_(local),
        milliseconds_(milliseconds),
        options_(std::move(options)) {}

  void Work(const WakeUp& stop) override {
    Fd fd(socket(remote_.family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_TCP));
    if (!fd.valid()) {
      failure = {errno, "open TCP socket"};
      return;
    }
    failure = Configure(fd.get(), remote_.family(), options_);
    if (!failure && local_.length > 0 && bind(fd.get(), local_.address(), local_.length) != 0) {
      failure = {errno, "bind"};
    }
    if (!failure) failure = Connect(fd.get(), stop);
    if (!failure) fd_ = std::move(fd);
  }

 private:
  Failure Connect(int fd, const WakeUp& stop) const {
    if (connect(fd, remote_.address(), remote_.length) == 0) return {};
    if (errno != EINPROGRESS) return {errno, "connect"};
    pollfd waits[] = {{fd, POLLOUT, 0}, {stop.fd(), POLLIN, 0}};
    const int ready = poll(waits, 2, milliseconds_);
    if (ready < 0) return {errno, "connect"};
    if (ready == 0) return {ETIMEDOUT, "connect"};
    if (waits[1].revents != 0) return {ECANCELED, "connect"};
    int error = 0;
    socklen_t length = sizeof error;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) != 0) error = errno;
    return error == 0 ? Failure() : Failure(error, "connect");
  }

  Endpoint remote_;
  Endpoint local_;
  int milliseconds_;
  TcpOptions options_;
};

uint64_t NowMicroseconds() {
  timespec now = {};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1000000 + static_cast<uint64_t>(now.tv_nsec) / 1000;
}

/** Both ICMPs begin alike: type, code, checksum, identifier, sequence. */
struct Echo {
  uint8_t type;
  uint8_t code;
  uint16_t checksum;
  uint16_t identifier;
  uint16_t sequence;
  uint64_t token;
};
static_assert(sizeof(Echo) == 16, "ICMP header and token");

uint16_t InternetChecksum(const void* data, size_t length) {
  const auto* bytes = static_cast<const uint8_t*>(data);
  uint32_t sum = 0;
  for (size_t i = 0; i + 1 < length; i += 2) {
    uint16_t word = 0;
    memcpy(&word, bytes + i, sizeof word);
    sum += word;
  }
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>(~sum);
}

/** Equivalent to: `ping -c 1 -W SECONDS ADDRESS`, asking again after 50, 100, 200, ... ms. */
class PingJob final : public Job {
 public:
  PingJob(Napi::Env env, int ns, Endpoint target, int milliseconds)
      : Job(env, ns), target_(target), microseconds_(static_cast<uint64_t>(milliseconds) * 1000) {}

  void Work(const WakeUp& stop) override {
    failure = Open();
    if (failure) return;
    if (getrandom(&token_, sizeof token_, GRND_NONBLOCK) != sizeof token_) token_ = NowMicroseconds();
    const uint64_t end = NowMicroseconds() + microseconds_;
    uint64_t interval = 50000;
    uint64_t next = 0;
    while (milliseconds_ < 0) {
      const uint64_t now = NowMicroseconds();
      if (now >= end) return;
      if (now >= next) {
        Send();
        next = NowMicroseconds() + interval;
        interval *= 2;
      }
      const uint64_t until = next < end ? next : end;
      pollfd waits[] = {{fd_.get(), POLLIN, 0}, {stop.fd(), POLLIN, 0}};
      const int ready = poll(waits, 2, static_cast<int>((until - now) / 1000 + 1));
      if (ready > 0 && waits[1].revents != 0) {
        failure = {ECANCELED, "ping"};
        return;
      }
      if (ready > 0) Receive();
    }
  }

 protected:
  /** Round-trip time in milliseconds, or null. */
  Napi::Value Result(Napi::Env env) override {
    return milliseconds_ < 0 ? env.Null() : Napi::Value(Napi::Number::New(env, milliseconds_));
  }

 private:
  bool v6() const { return target_.family() == AF_INET6; }

  Failure Open() {
    const int protocol = v6() ? static_cast<int>(IPPROTO_ICMPV6) : static_cast<int>(IPPROTO_ICMP);
    fd_ = Fd(socket(target_.family(), SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol));
    raw_ = fd_.valid();
    // Without CAP_NET_RAW the kernel may allow echo sockets by net.ipv4.ping_group_range.
    if (!raw_) fd_ = Fd(socket(target_.family(), SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol));
    if (!fd_.valid()) return {errno, "open ICMP socket"};
    if (raw_ && v6()) {
      icmp6_filter filter;
      ICMP6_FILTER_SETBLOCKALL(&filter);
      ICMP6_FILTER_SETPASS(ICMP6_ECHO_REPLY, &filter);
      if (setsockopt(fd_.get(), IPPROTO_ICMPV6, ICMP6_FILTER, &filter, sizeof filter) != 0) {
        return {errno, "set ICMPv6 filter"};
      }
    } else if (raw_) {
      const uint32_t blocked = ~(1U << ICMP_ECHOREPLY);
      if (setsockopt(fd_.get(), SOL_RAW, 1 /* ICMP_FILTER */, &blocked, sizeof blocked) != 0) {
        return {errno, "set ICMP filter"};
      }
    }
    return {};
  }

  void Send() {
    Echo echo = {};
    echo.type = v6() ? static_cast<uint8_t>(ICMP6_ECHO_REQUEST) : static_cast<uint8_t>(ICMP_ECHO);
    echo.identifier = static_cast<uint16_t>(token_);
    echo.sequence = static_cast<uint16_t>(sent_.size());
    echo.token = token_;
    // The kernel fills in ICMPv6's, which covers the addresses too.
    if (!v6()) echo.checksum = InternetChecksum(&echo, sizeof echo);
    sent_.push_back(NowMicroseconds());
    // Not reachable now (no route yet, queue full) is one lost echo like any other: the next one may get through.
    if (sendto(fd_.get(), &echo, sizeof echo, 0, target_.address(), target_.length) < 0) return;
  }

  void Receive() {
    uint8_t buffer[512];
    for (;;) {
      ssize_t length = recv(fd_.get(), buffer, sizeof buffer, 0);
      if (length < 0) return;
      const uint8_t* at = buffer;
      if (raw_ && !v6()) {
        const ssize_t header = ssize_t{buffer[0] & 0xf} * 4;
        at += header;
        length -= header;
      }
      if (length < static_cast<ssize_t>(sizeof(Echo))) continue;
      Echo echo = {};
      memcpy(&echo, at, sizeof echo);
      const int reply = v6() ? static_cast<int>(ICMP6_ECHO_REPLY) : static_cast<int>(ICMP_ECHOREPLY);
      if (echo.type != reply || echo.token != token_ || echo.sequence >= sent_.size()) continue;
      milliseconds_ = static_cast<double>(NowMicroseconds() - sent_[echo.sequence]) / 1000;
      return;
    }
  }

  Endpoint target_;
  uint64_t microseconds_;
  uint64_t token_ = 0;
  bool raw_ = false;
  Fd fd_;
  std::vector<uint64_t> sent_;
  double milliseconds_ = -1;
};

bool CheckEndpoint(Napi::Env env, const Endpoint& endpoint, const char* what) {
  if (endpoint.length > 0) return true;
  Napi::TypeError::New(env, std::string(what) + ": address must have 4 or 16 bytes").ThrowAsJavaScriptException();
  return false;
}

/** listenTcp(namespaceFd, address, port, options): Promise<fd> */
Napi::Value JsListenTcp(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const Endpoint local = ToEndpoint(info[1], static_cast<uint16_t>(ToUint32(info[2])), 0);
  if (!CheckEndpoint(env, local, "listenTcp")) return env.Undefined();
  return JobsOf(env).Submit(env, new ListenJob(env, ToInt32(info[0]), local, ToTcpOptions(info[3])));
}

/** connectTcp(namespaceFd, address, port, scope, local | null, milliseconds, options): Promise<fd> */
Napi::Value JsConnectTcp(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const Endpoint remote = ToEndpoint(info[1], static_cast<uint16_t>(ToUint32(info[2])), ToUint32(info[3]));
  if (!CheckEndpoint(env, remote, "connectTcp")) return env.Undefined();
  return JobsOf(env).Submit(env, new ConnectJob(env, ToInt32(info[0]), remote, ToEndpoint(info[4], 0, 0),
                                                ToInt32(info[5]), ToTcpOptions(info[6])));
}

/** setTcpOptions(fd, isV6, options): everything but onlyV6, which cannot change on a bound socket */
Napi::Value JsSetTcpOptions(const Napi::CallbackInfo& info) {
  const int family = ToBool(info[1]) ? AF_INET6 : AF_INET;
  const Failure failure = Configure(ToInt32(info[0]), family, ToTcpOptions(info[2]));
  if (failure) ToError(info.Env(), failure).ThrowAsJavaScriptException();
  return info.Env().Undefined();
}

/** ping(namespaceFd, address, scope, milliseconds): Promise<number | null> */
Napi::Value JsPing(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const Endpoint target = ToEndpoint(info[1], 0, ToUint32(info[2]));
  if (!CheckEndpoint(env, target, "ping")) return env.Undefined();
  return JobsOf(env).Submit(env, new PingJob(env, ToInt32(info[0]), target, ToInt32(info[3])));
}

}  // namespace

void DefineNetJobs(Napi::Env env, Napi::Object exports) {
  exports.Set("listenTcp", Napi::Function::New<JsListenTcp>(env, "listenTcp"));
  exports.Set("connectTcp", Napi::Function::New<JsConnectTcp>(env, "connectTcp"));
  exports.Set("setTcpOptions", Napi::Function::New<JsSetTcpOptions>(env, "setTcpOptions"));
  exports.Set("ping", Napi::Function::New<JsPing>(env, "ping"));
}

}  // namespace hybridnet
