#include "netns.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/nsfs.h>
#include <net/if.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <condition_variable>
#include <memory>
#include <mutex>

namespace hybridnet {

namespace {

constexpr char kOwnNamespace[] = "/proc/thread-self/ns/net";

Failure BringLoopbackUp() {
  const Fd socket_fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!socket_fd.valid()) return {errno, "socket"};
  ifreq request = {};
  strncpy(request.ifr_name, "lo", IFNAMSIZ - 1);
  if (ioctl(socket_fd.get(), SIOCGIFFLAGS, &request) != 0) return {errno, "read flags of lo"};
  request.ifr_flags = static_cast<int16_t>(request.ifr_flags | IFF_UP);
  if (ioctl(socket_fd.get(), SIOCSIFFLAGS, &request) != 0) return {errno, "bring lo up"};
  return {};
}

}  // namespace

Failure EnterNamespace(int ns) {
  struct stat target = {};
  struct stat own = {};
  if (fstat(ns, &target) != 0) return {errno, "stat network namespace"};
  if (stat(kOwnNamespace, &own) == 0 && own.st_ino == target.st_ino && own.st_dev == target.st_dev) return {};
  if (setns(ns, CLONE_NEWNET) != 0) return {errno, "enter network namespace"};
  return {};
}

Failure StartInNamespace(Thread* thread, int ns, std::function<Failure()> open, std::function<void()> body) {
  struct Opening {
    std::mutex mutex;
    std::condition_variable ready;
    bool done = false;
    Failure failure;
  };
  const auto opening = std::make_shared<Opening>();
  const int error = thread->Start([opening, ns, open = std::move(open), body = std::move(body)] {
    Failure failure = EnterNamespace(ns);
    if (!failure) failure = open();
    const bool failed = static_cast<bool>(failure);
    {
      const std::lock_guard<std::mutex> lock(opening->mutex);
      opening->failure = std::move(failure);
      opening->done = true;
    }
    opening->ready.notify_one();
    if (!failed) body();
  });
  if (error != 0) return {error, "start thread"};
  std::unique_lock<std::mutex> lock(opening->mutex);
  opening->ready.wait(lock, [&] { return opening->done; });
  if (opening->failure) thread->Join();
  return opening->failure;
}

Failure OpenNamespace(const std::string& path, Fd* out) {
  Fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return {errno, "open network namespace " + path};
  const int type = ioctl(fd.get(), NS_GET_NSTYPE);
  // A file that is no namespace answers ENOTTY; a deleted one left as a plain file too.
  if (type != CLONE_NEWNET) {
    Failure failure(EINVAL, "open network namespace " + path);
    failure.text = "not a network namespace";
    return failure;
  }
  *out = std::move(fd);
  return {};
}

Failure CreateNamespace(const std::string& path) {
  const Fd file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_CREAT | O_EXCL, 0444));
  if (!file.valid()) return {errno, "create namespace file " + path};
  Failure failure;
  if (unshare(CLONE_NEWNET) != 0) failure = {errno, "create network namespace"};
  if (!failure) failure = BringLoopbackUp();
  if (!failure && mount(kOwnNamespace, path.c_str(), nullptr, MS_BIND, nullptr) != 0) {
    failure = {errno, "bind network namespace to " + path};
  }
  if (failure) unlink(path.c_str());
  return failure;
}

Failure DeleteNamespace(const std::string& path) {
  // EINVAL: the file is there but nothing is mounted on it.
  if (umount2(path.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) != 0 && errno != EINVAL && errno != ENOENT) {
    return {errno, "unmount network namespace " + path};
  }
  if (unlink(path.c_str()) != 0 && errno != ENOENT) return {errno, "remove namespace file " + path};
  return {};
}

}  // namespace hybridnet
