#include "channel.h"

#include <cstring>
#include <memory>

namespace hybridnet {

Channel::Channel(Napi::Env env) {
  napi_value name = Napi::String::New(env, "hybridnet");
  const napi_status status =
      napi_create_threadsafe_function(env, nullptr, nullptr, name, 0, 1, nullptr, nullptr, this, CallJs, &function_);
  if (status != napi_ok) {
    Napi::Error::New(env, "hybridnet: no thread-safe function").ThrowAsJavaScriptException();
    return;
  }
  napi_unref_threadsafe_function(env, function_);
}

void Channel::CallJs(napi_env env, napi_value, void*, void* data) {
  const std::unique_ptr<Task> task(static_cast<Task*>(data));
  if (env == nullptr) return;
  const Napi::HandleScope scope(env);
  task->Run(env);
}

void Channel::Post(Task* task) {
  // Unlimited queue, and closed only after every poster has ended: the one failure left is lack of memory.
  if (napi_call_threadsafe_function(function_, task, napi_tsfn_nonblocking) != napi_ok) delete task;
}

void Channel::Hold(Napi::Env env) {
  if (holders_++ == 0) napi_ref_threadsafe_function(env, function_);
}

void Channel::Drop(Napi::Env env) {
  if (--holders_ == 0) napi_unref_threadsafe_function(env, function_);
}

Napi::Error ToError(Napi::Env env, const Failure& failure) {
  const std::string message =
      failure.operation + ": " + (failure.text.empty() ? strerror(failure.error) : failure.text);
  Napi::Error error = Napi::Error::New(env, message);
  Napi::Object object = error.Value();
  object.Set("errno", failure.error);
  object.Set("operation", failure.operation);
  object.Set("extack", failure.text);
  object.Set("offset", failure.offset);
  return error;
}

Completion::Completion(Napi::Env env) : env_(env) {
  if (napi_create_promise(env, &deferred_, &promise_) != napi_ok) promise_ = nullptr;
  ChannelOf(env).Hold(env);
}

void Completion::Run(Napi::Env env) {
  ChannelOf(env).Drop(env);
  Settle(env);
  if (deferred_ == nullptr) return;
  // Neither can fail but in an environment that is going away.
  if (failure) {
    napi_reject_deferred(env, deferred_, ToError(env, failure).Value());
  } else {
    napi_resolve_deferred(env, deferred_, Result(env));
  }
}

void CleanupHook::Register(napi_env env, void (*stop)(void*), void* argument) {
  if (napi_add_env_cleanup_hook(env, stop, argument) != napi_ok) return;
  env_ = env;
  stop_ = stop;
  argument_ = argument;
}

void CleanupHook::Forget() {
  if (env_ != nullptr) napi_remove_env_cleanup_hook(env_, stop_, argument_);
  env_ = nullptr;
}

}  // namespace hybridnet
