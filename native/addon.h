// What the files of the addon share: the state of one environment and the parts each file defines.
#pragma once

#include <napi.h>

#include <memory>

#include "arguments.h"
#include "channel.h"
#include "words.h"

namespace hybridnet {

class JobPool;

/** State of one environment (the main thread, or a worker): never anything static. */
struct Addon {
  explicit Addon(Napi::Env env);
  ~Addon();
  Addon(const Addon&) = delete;
  Addon& operator=(const Addon&) = delete;

  Channel channel;
  // After the channel: its cleanup hook must run first.
  std::unique_ptr<JobPool> jobs;
};

JobPool& JobsOf(Napi::Env env);

/** Hands the buffer to JavaScript without a copy. Empty in an environment that is going away. */
Napi::Value ToUint32Array(Napi::Env env, Words words);

Napi::Function DefineSocket(Napi::Env env);
Napi::Function DefineMonitor(Napi::Env env);
Napi::Function DefineNftMonitor(Napi::Env env);
Napi::Function DefineResolver(Napi::Env env);
Napi::Function DefinePacketSocket(Napi::Env env);
void DefineJobs(Napi::Env env, Napi::Object exports);
void DefineNetJobs(Napi::Env env, Napi::Object exports);
void DefineCommandJobs(Napi::Env env, Napi::Object exports);

}  // namespace hybridnet
