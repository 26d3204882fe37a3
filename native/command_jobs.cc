// Runs a short command inside a namespace without disturbing the event loop: child_process forks on the loop's thread
// and copies page tables, 20 ms in a daemon of 150 MiB, and would need nsenter besides. posix_spawn shares the memory
// until exec, and a job's thread is in the namespace already, which the child inherits.
//
// Input and output are files in memory, so that nothing has to be pumped while the command runs.
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "addon.h"
#include "jobs.h"

namespace hybridnet {

namespace {

constexpr size_t kMaxOutput = 256U << 20;

std::vector<char*> Pointers(std::vector<std::string>* strings) {
  std::vector<char*> pointers;
  for (std::string& string : *strings) pointers.push_back(string.data());
  pointers.push_back(nullptr);
  return pointers;
}

int64_t NowMilliseconds() {
  timespec now = {};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<int64_t>(now.tv_sec) * 1000 + now.tv_nsec / 1000000;
}

class CommandJob final : public Job {
 public:
  CommandJob(Napi::Env env, int ns, std::vector<std::string> arguments, std::vector<std::string> environment,
             std::string input, int milliseconds)
      : Job(env, ns),
        arguments_(std::move(arguments)),
        environment_(std::move(environment)),
        input_(std::move(input)),
        milliseconds_(milliseconds) {}

  void Work(const WakeUp& stop) override {
    Fd streams[3];
    for (Fd& stream : streams) {
      stream = Fd(memfd_create("command", MFD_CLOEXEC));
      if (!stream.valid()) {
        failure = {errno, "memfd_create"};
        return;
      }
    }
    failure = Fill(streams[0]);
    pid_t pid = 0;
    if (!failure) failure = Spawn(streams, &pid);
    if (failure) return;
    Wait(pid, stop);
    if (!failure) failure = Read(streams[1], &output_);
    if (!failure) failure = Read(streams[2], &errors_);
  }

 protected:
  /** [exit status, or 128 + signal; stdout; stderr] */
  Napi::Value Result(Napi::Env env) override {
    Napi::Array result = Napi::Array::New(env, 3);
    result.Set(0U, Napi::Number::New(env, status_));
    result.Set(1U, Napi::String::New(env, output_));
    result.Set(2U, Napi::String::New(env, errors_));
    return result;
  }

 private:
  Failure Fill(const Fd& stream) {
    for (size_t done = 0; done < input_.size();) {
      const ssize_t written = write(stream.get(), input_.data() + done, input_.size() - done);
      if (written < 0) return {errno, "write input of " + arguments_[0]};
      done += static_cast<size_t>(written);
    }
    if (lseek(stream.get(), 0, SEEK_SET) != 0) return {errno, "rewind input of " + arguments_[0]};
    return {};
  }

  Failure Spawn(const Fd (&streams)[3], pid_t* pid) {
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    for (int i = 0; i < 3; i++) posix_spawn_file_actions_adddup2(&actions, streams[i].get(), i);
    // Our threads block all signals and Node ignores some; the command starts as from a shell.
    sigset_t none;
    sigset_t all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    const std::vector<char*> arguments = Pointers(&arguments_);
    const std::vector<char*> environment = Pointers(&environment_);
    const int error =
        posix_spawnp(pid, arguments_[0].c_str(), &actions, &attributes, arguments.data(), environment.data());
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    if (error != 0) return {error, "start " + arguments_[0]};
    return {};
  }

  /** Waits for the end of the command; kills it when its time is over or ours is. */
  void Wait(pid_t pid, const WakeUp& stop) {
    const Fd process(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
    const int64_t end = NowMilliseconds() + milliseconds_;
    for (;;) {
      int status = 0;
      const pid_t ended = waitpid(pid, &status, WNOHANG);
      if (ended == pid) {
        status_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        return;
      }
      if (ended < 0 && errno != EINTR) {
        failure = {errno, "wait for " + arguments_[0]};
        return;
      }
      const int64_t left = end - NowMilliseconds();
      pollfd waits[] = {{stop.fd(), POLLIN, 0}, {process.get(), POLLIN, 0}};
      // A kernel without pidfds (before 5.3) is asked every millisecond.
      const int64_t pause = process.valid() ? left : (left < 1 ? left : 1);
      if (left > 0) poll(waits, process.valid() ? 2 : 1, static_cast<int>(pause));
      const bool stopping = (waits[0].revents & POLLIN) != 0;
      if (left > 0 && !stopping) continue;
      kill(pid, SIGKILL);
      while (waitpid(pid, &status, 0) < 0 && errno == EINTR) continue;
      failure = {stopping ? ECANCELED : ETIMEDOUT, "run " + arguments_[0]};
      return;
    }
  }

  Failure Read(const Fd& stream, std::string* text) {
    struct stat status = {};
    if (fstat(stream.get(), &status) != 0) return {errno, "read output of " + arguments_[0]};
    const auto size = static_cast<size_t>(status.st_size);
    if (size > kMaxOutput) return {EFBIG, "read output of " + arguments_[0]};
    text->resize(size);
    for (size_t done = 0; done < size;) {
      const ssize_t got = pread(stream.get(), text->data() + done, size - done, static_cast<off_t>(done));
      if (got <= 0) return {got < 0 ? errno : EIO, "read output of " + arguments_[0]};
      done += static_cast<size_t>(got);
    }
    return {};
  }

  std::vector<std::string> arguments_;
  std::vector<std::string> environment_;
  std::string input_;
  int milliseconds_;
  int status_ = -1;
  std::string output_;
  std::string errors_;
};

/** runCommand(namespaceFd, arguments, environment, input, milliseconds): Promise<[status, stdout, stderr]> */
Napi::Value JsRunCommand(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  std::vector<std::string> arguments = ToTexts(info[1]);
  if (arguments.empty()) {
    Napi::TypeError::New(env, "runCommand: no command").ThrowAsJavaScriptException();
    return env.Undefined();
  }
  return JobsOf(env).Submit(env, new CommandJob(env, ToInt32(info[0]), std::move(arguments), ToTexts(info[2]),
                                                ToText(info[3]), ToInt32(info[4])));
}

}  // namespace

void DefineCommandJobs(Napi::Env env, Napi::Object exports) {
  exports.Set("runCommand", Napi::Function::New<JsRunCommand>(env, "runCommand"));
}

}  // namespace hybridnet
