// The addon: system calls, namespaces, batches and waiting for lib/netlink. It takes no decision; what to send and what
// an answer means is TypeScript's.
//
//   layout.h      the packed records, shared with lib/netlink/layout.ts
//   codec.cc      record <-> message, one attribute table per class
//   connection.cc one netlink socket: batches and dumps
//   socket.cc     that socket on its own thread, for JavaScript
//   monitor.cc    notifications
//   nft_monitor.cc notifications of nftables, reduced to "look again"
//   resolver.cc   the VXLAN neighbour resolver
//   jobs.cc       threads for short jobs inside a namespace; *_jobs.cc the jobs
#include "addon.h"

#include <memory>

#include "jobs.h"
#include "layout.h"

namespace hybridnet {

Addon::Addon(Napi::Env env) : channel(env), jobs(std::make_unique<JobPool>(env, &channel)) {}
Addon::~Addon() = default;

Channel& ChannelOf(Napi::Env env) { return env.GetInstanceData<Addon>()->channel; }
JobPool& JobsOf(Napi::Env env) { return *env.GetInstanceData<Addon>()->jobs; }

Napi::Value ToUint32Array(Napi::Env env, Words words) {
  const size_t size = words.size();
  if (size == 0) return Napi::Uint32Array::New(env, 0);
  auto* kept = new Words(std::move(words));
  const Napi::ArrayBuffer buffer = Napi::ArrayBuffer::New(
      env, kept->data(), size * sizeof(uint32_t), [](Napi::BasicEnv, void*, Words* owned) { delete owned; }, kept);
  if (buffer.IsEmpty()) return {};
  return Napi::Uint32Array::New(env, size, buffer, 0);
}

namespace {

/** The numbers of layout.h, for the test that compares them with layout.ts. */
Napi::Object Layout(Napi::Env env) {
  Napi::Object layout = Napi::Object::New(env);
  const auto put = [&](const char* name, uint32_t value) { layout.Set(name, value); };
#define HYBRIDNET_PUT(type, name) put(#type "." #name, type##Layout::k##name)
  HYBRIDNET_PUT(Route, Header);
  HYBRIDNET_PUT(Route, Protocol);
  HYBRIDNET_PUT(Route, Flags);
  HYBRIDNET_PUT(Route, Table);
  HYBRIDNET_PUT(Route, Oif);
  HYBRIDNET_PUT(Route, Metric);
  HYBRIDNET_PUT(Route, NexthopId);
  HYBRIDNET_PUT(Route, Dst);
  HYBRIDNET_PUT(Route, Gateway);
  HYBRIDNET_PUT(Route, PrefSrc);
  HYBRIDNET_PUT(Route, Words);
  HYBRIDNET_PUT(Route, HasDst);
  HYBRIDNET_PUT(Route, HasTable);
  HYBRIDNET_PUT(Route, HasOif);
  HYBRIDNET_PUT(Route, HasMetric);
  HYBRIDNET_PUT(Route, HasNexthopId);
  HYBRIDNET_PUT(Route, HasGateway);
  HYBRIDNET_PUT(Route, HasPrefSrc);
  HYBRIDNET_PUT(Route, HasVia);
  HYBRIDNET_PUT(Rule, Header);
  HYBRIDNET_PUT(Rule, Flags);
  HYBRIDNET_PUT(Rule, Foreign);
  HYBRIDNET_PUT(Rule, Priority);
  HYBRIDNET_PUT(Rule, Table);
  HYBRIDNET_PUT(Rule, Fwmark);
  HYBRIDNET_PUT(Rule, Fwmask);
  HYBRIDNET_PUT(Rule, Src);
  HYBRIDNET_PUT(Rule, Dst);
  HYBRIDNET_PUT(Rule, Protocol);
  HYBRIDNET_PUT(Rule, Words);
  HYBRIDNET_PUT(Rule, HasSrc);
  HYBRIDNET_PUT(Rule, HasDst);
  HYBRIDNET_PUT(Rule, HasPriority);
  HYBRIDNET_PUT(Rule, HasTable);
  HYBRIDNET_PUT(Rule, HasFwmark);
  HYBRIDNET_PUT(Rule, HasFwmask);
  HYBRIDNET_PUT(Rule, HasProtocol);
  HYBRIDNET_PUT(Neigh, Header);
  HYBRIDNET_PUT(Neigh, Index);
  HYBRIDNET_PUT(Neigh, State);
  HYBRIDNET_PUT(Neigh, Mac);
  HYBRIDNET_PUT(Neigh, Protocol);
  HYBRIDNET_PUT(Neigh, NexthopId);
  HYBRIDNET_PUT(Neigh, Dst);
  HYBRIDNET_PUT(Neigh, Words);
  HYBRIDNET_PUT(Neigh, HasDst);
  HYBRIDNET_PUT(Neigh, HasMac);
  HYBRIDNET_PUT(Neigh, HasProtocol);
  HYBRIDNET_PUT(Neigh, HasNexthopId);
  HYBRIDNET_PUT(Addr, Header);
  HYBRIDNET_PUT(Addr, Index);
  HYBRIDNET_PUT(Addr, Flags);
  HYBRIDNET_PUT(Addr, Broadcast);
  HYBRIDNET_PUT(Addr, Protocol);
  HYBRIDNET_PUT(Addr, Lifetime);
  HYBRIDNET_PUT(Addr, Local);
  HYBRIDNET_PUT(Addr, Address);
  HYBRIDNET_PUT(Addr, Words);
  HYBRIDNET_PUT(Addr, HasLocal);
  HYBRIDNET_PUT(Addr, HasAddress);
  HYBRIDNET_PUT(Addr, HasFlags);
  HYBRIDNET_PUT(Addr, HasBroadcast);
  HYBRIDNET_PUT(Addr, HasProtocol);
  HYBRIDNET_PUT(Addr, HasLifetime);
#undef HYBRIDNET_PUT
  return layout;
}

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  auto* addon = new Addon(env);
  env.SetInstanceData(addon);
  exports.Set("Socket", DefineSocket(env));
  exports.Set("Monitor", DefineMonitor(env));
  exports.Set("NftMonitor", DefineNftMonitor(env));
  exports.Set("Resolver", DefineResolver(env));
  exports.Set("PacketSocket", DefinePacketSocket(env));
  DefineJobs(env, exports);
  DefineNetJobs(env, exports);
  DefineCommandJobs(env, exports);
  exports.Set("layout", Layout(env));
  return exports;
}

}  // namespace

}  // namespace hybridnet

static Napi::Object InitAddon(Napi::Env env, Napi::Object exports) { return hybridnet::Init(env, exports); }

NODE_API_MODULE(hybridnet, InitAddon)
