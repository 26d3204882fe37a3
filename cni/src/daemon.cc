#include "daemon.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "http.h"
#include "io.h"

namespace cni {

namespace {

constexpr int64_t kConnectTimeout = 1000;
constexpr int64_t kRetryInterval = 200;
// Between attempts while the backlog of the socket is full, which connect() on a Unix socket cannot wait for.
constexpr int64_t kBacklogInterval = 10;
constexpr size_t kMaxAnswer = 4 * 1024 * 1024;

class Client {
 public:
  Client(const Exchange& exchange, Failure* failure) : exchange_(exchange), failure_(failure) {}

  bool open() {
    const int64_t retryUntil = std::min(now() + exchange_.connectRetry, exchange_.deadline);
    for (bool first = true;; first = false) {
      int error = 0;
      if (connectOnce(&error)) return verifyPeer();
      if (error == 0) return false;
      const bool nobody = error == ENOENT || error == ECONNREFUSED;
      if (!nobody || now() >= retryUntil) {
        return fail(failure_, nobody || error == EAGAIN ? exchange_.unreachableCode : int{kIoFailure},
                    "cannot connect to the hybridnet daemon at '" + exchange_.socket +
                        "': " + (error == EAGAIN ? "it accepts no connection" : strerror(error)),
                    nobody ? "the daemon is not running or not ready on this node" : "");
      }
      if (first) diagnose("nobody listens on " + exchange_.socket + " (" + strerror(error) + "), trying again");
      if (!pause(std::min(now() + kRetryInterval, retryUntil))) return false;
    }
  }

  bool send(std::string_view request) {
    while (!request.empty()) {
      const ssize_t count = ::send(socket_.get(), request.data(), request.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
      if (count >= 0) {
        request.remove_prefix(static_cast<size_t>(count));
      } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
        if (!wait(POLLOUT)) return false;
      } else if (errno == EPIPE || errno == ECONNRESET) {
        // The daemon may have answered without reading everything; receive() finds out.
        return true;
      } else if (errno != EINTR) {
        return broken("send the request to");
      }
    }
    return true;
  }

  bool receive(Answer* answer) {
    http::ResponseReader reader(kMaxAnswer);
    auto state = http::ResponseReader::State::kMore;
    while (state == http::ResponseReader::State::kMore) {
      char buffer[16384];
      const ssize_t count = recv(socket_.get(), buffer, sizeof(buffer), MSG_DONTWAIT);
      if (count > 0) {
        state = reader.feed(std::string_view(buffer, static_cast<size_t>(count)));
      } else if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
        if (!wait(POLLIN)) return false;
      } else if (count == 0 || errno == ECONNRESET) {
        if (!reader.started()) {
          return fail(failure_, exchange_.unreachableCode, "the hybridnet daemon closed the connection unanswered",
                      "it may be restarting");
        }
        state = reader.finish();
      } else if (errno != EINTR) {
        return broken("receive the answer of");
      }
    }
    if (state == http::ResponseReader::State::kMalformed) {
      return fail(failure_, kIoFailure, std::string("malformed answer of the hybridnet daemon: ") + reader.problem());
    }
    answer->status = reader.status();
    answer->body = reader.body();
    return true;
  }

 private:
  // false with *error == 0 when `failure_` is set and there is no point in another attempt.
  bool connectOnce(int* error) {
    struct sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    memcpy(address.sun_path, exchange_.socket.data(), exchange_.socket.size());
    const int64_t until = std::min(now() + kConnectTimeout, exchange_.deadline);
    while (true) {
      socket_.reset(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
      if (socket_.get() < 0) {
        *error = 0;
        return fail(failure_, kIoFailure, std::string("cannot open a socket: ") + strerror(errno));
      }
      if (connect(socket_.get(), reinterpret_cast<struct sockaddr*>(&address), sizeof(address)) == 0) return true;
      *error = errno;
      if (*error != EAGAIN && *error != EINTR) return false;
      if (now() >= until) return false;
      if (!pause(std::min(now() + kBacklogInterval, until))) {
        *error = 0;
        return false;
      }
    }
  }

  // Whoever can put a socket there could answer in the daemon's name: only root may.
  bool verifyPeer() {
    struct ucred peer = {};
    socklen_t length = sizeof(peer);
    if (getsockopt(socket_.get(), SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0) {
      return broken("learn who listens as");
    }
    if (peer.uid == 0) return true;
    return fail(failure_, kIoFailure,
                "'" + exchange_.socket + "' is served by user " + std::to_string(peer.uid) + ", not by root",
                "the request was not sent");
  }

  bool wait(short events) {
    switch (waitFor(socket_.get(), events, exchange_.deadline)) {
      case Wait::kReady:
        return true;
      case Wait::kTimeout:
        return fail(failure_, exchange_.unreachableCode, "the hybridnet daemon did not answer in time");
      case Wait::kInterrupted:
        *failure_ = interrupted();
        return false;
      case Wait::kFailed:
        break;
    }
    return broken("wait for");
  }

  bool pause(int64_t until) {
    if (waitFor(-1, 0, until) == Wait::kTimeout) return true;
    *failure_ = interrupted();
    return false;
  }

  bool broken(const char* doing) {
    return fail(failure_, kIoFailure, std::string("cannot ") + doing + " the hybridnet daemon: " + strerror(errno));
  }

  const Exchange& exchange_;
  Failure* const failure_;
  Descriptor socket_;
};

}  // namespace

bool exchange(const Exchange& exchange, std::string_view path, std::string_view body, Answer* answer,
              Failure* failure) {
  Client client(exchange, failure);
  return client.open() && client.send(http::post(path, body)) && client.receive(answer);
}

}  // namespace cni
