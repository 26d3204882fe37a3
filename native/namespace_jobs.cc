// The jobs that need no socket: namespaces and sysctls.
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <string>
#include <vector>

#include "addon.h"
#include "jobs.h"
#include "netns.h"

namespace hybridnet {

namespace {

/** openNamespace(path): [fd, inode] */
Napi::Value JsOpenNamespace(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Fd fd;
  Failure failure = OpenNamespace(ToText(info[0]), &fd);
  struct stat status = {};
  if (!failure && fstat(fd.get(), &status) != 0) failure = {errno, "stat network namespace"};
  if (failure) {
    ToError(env, failure).ThrowAsJavaScriptException();
    return env.Undefined();
  }
  Napi::Array result = Napi::Array::New(env, 2);
  result.Set(0U, fd.Release());
  result.Set(1U, static_cast<double>(status.st_ino));
  return result;
}

/** closeDescriptor(fd) */
Napi::Value JsCloseDescriptor(const Napi::CallbackInfo& info) {
  Fd(ToInt32(info[0])).Reset();
  return info.Env().Undefined();
}

class CreateJob final : public Job {
 public:
  CreateJob(Napi::Env env, std::string path) : Job(env, -1), path_(std::move(path)) {}
  void Work(const WakeUp&) override { failure = CreateNamespace(path_); }
  bool spendsThread() const override { return true; }

 protected:
  Napi::Value Result(Napi::Env env) override { return env.Undefined(); }

 private:
  std::string path_;
};

class DeleteJob final : public Job {
 public:
  DeleteJob(Napi::Env env, std::string path) : Job(env, -1), path_(std::move(path)) {}
  void Work(const WakeUp&) override { failure = DeleteNamespace(path_); }

 protected:
  Napi::Value Result(Napi::Env env) override { return env.Undefined(); }

 private:
  std::string path_;
};

Failure ReadFile(const std::string& path, std::string* value) {
  const Fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return {errno, "read " + path};
  char bytes[4096];
  const ssize_t length = read(fd.get(), bytes, sizeof bytes);
  if (length < 0) return {errno, "read " + path};
  value->assign(bytes, static_cast<size_t>(length));
  while (!value->empty() && value->back() == '\n') value->pop_back();
  return {};
}

Failure WriteFile(const std::string& path, const std::string& value) {
  const Fd fd(open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!fd.valid()) return {errno, "write " + path};
  // One write: the kernel parses each on its own.
  if (write(fd.get(), value.data(), value.size()) != static_cast<ssize_t>(value.size())) {
    return {errno, "write " + value + " to " + path};
  }
  return {};
}

/**
 * Reads or writes files of /proc/sys. /proc/sys/net shows the network of the task that opens it, hence of this thread,
 * whatever process mounted /proc.
 */
class SysctlJob final : public Job {
 public:
  SysctlJob(Napi::Env env, int ns, bool isWrite, std::vector<std::string> paths, std::vector<std::string> values)
      : Job(env, ns), isWrite_(isWrite), paths_(std::move(paths)), values_(std::move(values)) {}

  void Work(const WakeUp&) override {
    values_.resize(paths_.size());
    failures_.resize(paths_.size());
    for (size_t i = 0; i < paths_.size(); i++) {
      const std::string path = "/proc/sys/" + paths_[i];
      failures_[i] = isWrite_ ? WriteFile(path, values_[i]) : ReadFile(path, &values_[i]);
    }
  }

 protected:
  /** Per path: an Error, or the value read, or null when written. */
  Napi::Value Result(Napi::Env env) override {
    Napi::Array result = Napi::Array::New(env, paths_.size());
    for (uint32_t i = 0; i < paths_.size(); i++) {
      if (failures_[i]) {
        result.Set(i, ToError(env, failures_[i]).Value());
      } else if (isWrite_) {
        result.Set(i, env.Null());
      } else {
        result.Set(i, Napi::String::New(env, values_[i]));
      }
    }
    return result;
  }

 private:
  bool isWrite_;
  std::vector<std::string> paths_;
  std::vector<std::string> values_;
  std::vector<Failure> failures_;
};

Napi::Value JsCreateNamespace(const Napi::CallbackInfo& info) {
  return JobsOf(info.Env()).Submit(info.Env(), new CreateJob(info.Env(), ToText(info[0])));
}

Napi::Value JsDeleteNamespace(const Napi::CallbackInfo& info) {
  return JobsOf(info.Env()).Submit(info.Env(), new DeleteJob(info.Env(), ToText(info[0])));
}

/** sysctl(namespaceFd, paths, values | null): Promise<(Error | string | null)[]>; without values it reads */
Napi::Value JsSysctl(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  std::vector<std::string> paths = ToTexts(info[1]);
  std::vector<std::string> values = ToTexts(info[2]);
  const bool isWrite = info[2].IsArray();
  if (isWrite && values.size() != paths.size()) {
    Napi::TypeError::New(env, "sysctl: one value for each path").ThrowAsJavaScriptException();
    return env.Undefined();
  }
  return JobsOf(env).Submit(env, new SysctlJob(env, ToInt32(info[0]), isWrite, std::move(paths), std::move(values)));
}

}  // namespace

void DefineJobs(Napi::Env env, Napi::Object exports) {
  exports.Set("openNamespace", Napi::Function::New<JsOpenNamespace>(env, "openNamespace"));
  exports.Set("closeDescriptor", Napi::Function::New<JsCloseDescriptor>(env, "closeDescriptor"));
  exports.Set("createNamespace", Napi::Function::New<JsCreateNamespace>(env, "createNamespace"));
  exports.Set("deleteNamespace", Napi::Function::New<JsDeleteNamespace>(env, "deleteNamespace"));
  exports.Set("sysctl", Napi::Function::New<JsSysctl>(env, "sysctl"));
}

}  // namespace hybridnet
