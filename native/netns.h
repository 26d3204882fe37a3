// Network namespaces. A thread of ours enters one by setns(2) and works there; Node's own threads never do, because a
// thread of the pool or of the event loop left in another namespace would silently act on the wrong network.
#pragma once

#include <functional>
#include <string>

#include "failure.h"
#include "fd.h"
#include "thread.h"

namespace hybridnet {

/** Moves the calling thread into the namespace; does nothing (and needs no privilege) when it is there already. */
Failure EnterNamespace(int ns);

/**
 * Starts `thread` in the namespace and waits until `open` has run there; then it runs `body`.
 *
 * @return the failure of starting, entering or `open`, after which the thread has ended
 */
Failure StartInNamespace(Thread* thread, int ns, std::function<Failure()> open, std::function<void()> body);

/** Opens a namespace file and checks that it is one of networks. */
Failure OpenNamespace(const std::string& path, Fd* out);

/** Equivalent to: `ip netns add`, at any path, with lo up. Must run on a thread of its own, which ends in the new
 * namespace. */
Failure CreateNamespace(const std::string& path);

/** Equivalent to: `ip netns delete`, for any path; nothing there is success. */
Failure DeleteNamespace(const std::string& path);

}  // namespace hybridnet
