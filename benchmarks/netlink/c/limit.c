// The limit: what the kernel lets one program do over one netlink socket, in plain C.
//
//   limit GROUP COUNT DEVICE [PEER_PID]      runs the group and prints {"add","dump","delete" in seconds,"count","cpu":{...}}
//   limit count GROUP DEVICE                 prints how many such objects there are
//
// Messages are packed many to a send, with an ACK asked for on the last only (a refused one answers by itself); BATCH in
// the environment sets how many. Everything here is as the addon does it: same attributes, same flags, same order. A first
// small round, not counted, warms the kernel's caches as it does for every other contender.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fib_rules.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { TABLE = 1000, PRIORITY = 1000, LINK_GROUP = 77, WARM = 2000, WARM_LINKS = 4 };
enum action { ADD, DELETE };

static int sock, link_index, peer_namespace = -1, batch = 128;
static unsigned sequence;

static void die(const char *what) {
  fprintf(stderr, "limit: %s: %s\n", what, strerror(errno));
  exit(1);
}

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec / 1e9;
}

// Processor time of this process, user and system, in seconds: what a busy machine does not distort.
static double processor(void) {
  struct rusage u;
  getrusage(RUSAGE_SELF, &u);
  return u.ru_utime.tv_sec + u.ru_stime.tv_sec + (u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static int open_socket(void) {
  int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE), one = 1, send_size = 4 << 20, receive_size = 8 << 20;
  if (fd < 0) die("socket");
  // Forced where we may (root of the machine), else as far as the limit goes.
  if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &send_size, sizeof send_size))
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &send_size, sizeof send_size);
  if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &receive_size, sizeof receive_size))
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_size, sizeof receive_size);
  setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &one, sizeof one);
  setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &one, sizeof one);
  if (setsockopt(fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, &one, sizeof one)) die("strict check");
  return fd;
}

// ---- messages

static char buffer[1 << 20];
static size_t used;

static struct nlmsghdr *begin(int type, int flags, const void *body, size_t size) {
  struct nlmsghdr *message = (void *)(buffer + used);
  message->nlmsg_type = type;
  message->nlmsg_flags = NLM_F_REQUEST | flags;
  message->nlmsg_seq = ++sequence;
  message->nlmsg_pid = 0;
  memcpy(NLMSG_DATA(message), body, size);
  message->nlmsg_len = NLMSG_LENGTH(size);
  return message;
}

static struct rtattr *put(struct nlmsghdr *message, int type, const void *data, size_t size) {
  struct rtattr *attribute = (void *)((char *)message + NLMSG_ALIGN(message->nlmsg_len));
  attribute->rta_type = type;
  attribute->rta_len = RTA_LENGTH(size);
  if (size > 0) memcpy(RTA_DATA(attribute), data, size);
  message->nlmsg_len = NLMSG_ALIGN(message->nlmsg_len) + RTA_ALIGN(attribute->rta_len);
  return attribute;
}

static void put32(struct nlmsghdr *message, int type, unsigned value) { put(message, type, &value, 4); }

static void close_nest(struct nlmsghdr *message, struct rtattr *nest) {
  nest->rta_len = (char *)message + message->nlmsg_len - (char *)nest;
}

static void end(struct nlmsghdr *message) { used += NLMSG_ALIGN(message->nlmsg_len); }

static unsigned ipv4(unsigned base, unsigned i) { return htonl(base + i); }

static void ipv6(unsigned char *address, unsigned i) {
  memset(address, 0, 16);
  address[0] = 0xfd;
  unsigned low = htonl(i);
  memcpy(address + 12, &low, 4);
}

static void mac(unsigned char *address, unsigned i) {
  address[0] = 2;
  address[1] = 0;
  unsigned low = htonl(i);
  memcpy(address + 2, &low, 4);
}

static void route(enum action action, int family, unsigned i) {
  struct rtmsg body = {.rtm_family = family, .rtm_dst_len = family == AF_INET ? 32 : 128};
  if (action == ADD) {
    body.rtm_protocol = RTPROT_STATIC;
    body.rtm_type = RTN_UNICAST;
    body.rtm_scope = family == AF_INET ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
  } else {
    body.rtm_scope = RT_SCOPE_NOWHERE;
  }
  struct nlmsghdr *m = action == ADD ? begin(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, &body, sizeof body)
                                     : begin(RTM_DELROUTE, 0, &body, sizeof body);
  if (family == AF_INET) {
    put32(m, RTA_DST, ipv4(0x0a000001, i));
  } else {
    unsigned char address[16];
    ipv6(address, i + 1);
    put(m, RTA_DST, address, 16);
  }
  put32(m, RTA_TABLE, TABLE);
  put32(m, RTA_OIF, link_index);
  end(m);
}

static void neighbour(enum action action, int family, int flags, unsigned i) {
  struct ndmsg body = {.ndm_family = family, .ndm_ifindex = link_index, .ndm_flags = flags};
  if (action == ADD && flags != NTF_PROXY) body.ndm_state = NUD_PERMANENT;
  // The FDB takes `bridge fdb replace`, as this project does: its unicast entries have one destination.
  int add_flags = NLM_F_CREATE | (family == AF_BRIDGE ? NLM_F_REPLACE : NLM_F_EXCL);
  struct nlmsghdr *m = action == ADD ? begin(RTM_NEWNEIGH, add_flags, &body, sizeof body)
                                     : begin(RTM_DELNEIGH, 0, &body, sizeof body);
  if (family == AF_INET6) {
    unsigned char address[16];
    ipv6(address, i + 1);
    put(m, NDA_DST, address, 16);
  } else {
    put32(m, NDA_DST, ipv4(family == AF_BRIDGE ? 0xac100001 : 0x0a000001, i));
  }
  if (flags != NTF_PROXY && (action == ADD || family == AF_BRIDGE)) {
    unsigned char address[6];
    mac(address, i + 1);
    put(m, NDA_LLADDR, address, 6);
  }
  end(m);
}

static void rule(enum action action, int flags, unsigned i) {
  struct fib_rule_hdr body = {.family = AF_INET, .src_len = 32, .action = FR_ACT_TO_TBL};
  struct nlmsghdr *m = action == ADD ? begin(RTM_NEWRULE, NLM_F_CREATE | flags, &body, sizeof body)
                                     : begin(RTM_DELRULE, 0, &body, sizeof body);
  put32(m, FRA_SRC, ipv4(0x0a000001, i));
  put32(m, FRA_PRIORITY, PRIORITY + i);
  put32(m, FRA_TABLE, TABLE);
  end(m);
}

// `ip link add h<i> up group 77 type veth peer name p<i> netns NS`
static void veth(unsigned i) {
  struct ifinfomsg body = {.ifi_flags = IFF_UP, .ifi_change = IFF_UP};
  char name[IFNAMSIZ];
  struct nlmsghdr *m = begin(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &body, sizeof body);
  put(m, IFLA_IFNAME, name, snprintf(name, sizeof name, "h%u", i) + 1);
  put32(m, IFLA_GROUP, LINK_GROUP);
  struct rtattr *info = put(m, IFLA_LINKINFO, NULL, 0);
  put(m, IFLA_INFO_KIND, "veth", 5);
  struct rtattr *data = put(m, IFLA_INFO_DATA, NULL, 0);
  struct ifinfomsg peer_body = {0};
  struct rtattr *peer = put(m, VETH_INFO_PEER, &peer_body, sizeof peer_body);
  put(m, IFLA_IFNAME, name, snprintf(name, sizeof name, "p%u", i) + 1);
  put32(m, IFLA_NET_NS_FD, peer_namespace);
  close_nest(m, peer);
  close_nest(m, data);
  close_nest(m, info);
  end(m);
}

// `ip link set p<i> up`, sent by a socket of the peer's namespace
static void peer_up(unsigned i) {
  struct ifinfomsg body = {.ifi_flags = IFF_UP, .ifi_change = IFF_UP};
  char name[IFNAMSIZ];
  struct nlmsghdr *m = begin(RTM_SETLINK, 0, &body, sizeof body);
  put(m, IFLA_IFNAME, name, snprintf(name, sizeof name, "p%u", i) + 1);
  end(m);
}

// ---- groups

struct group {
  const char *name;
  int dump_type, family, proxy;
  int batch;
};

static const struct group groups[] = {
    {"routes4", RTM_GETROUTE, AF_INET, 0, 128},  {"routes6", RTM_GETROUTE, AF_INET6, 0, 128},
    {"fdb", RTM_GETNEIGH, AF_BRIDGE, 0, 64},     {"neigh4", RTM_GETNEIGH, AF_INET, 0, 128},
    {"neigh6", RTM_GETNEIGH, AF_INET6, 0, 128},  {"proxy4", RTM_GETNEIGH, AF_INET, 1, 128},
    {"proxy6", RTM_GETNEIGH, AF_INET6, 1, 128},  {"rules", RTM_GETRULE, AF_INET, 0, 128},
    {"rules-descending", RTM_GETRULE, AF_INET, 0, 128}, {"links", RTM_GETLINK, AF_UNSPEC, 0, 64},
};

static void build(const struct group *g, enum action action, unsigned i, unsigned n) {
  if (g->dump_type == RTM_GETROUTE) return route(action, g->family, i);
  if (g->dump_type == RTM_GETNEIGH)
    return neighbour(action, g->family, g->family == AF_BRIDGE ? NTF_SELF : g->proxy ? NTF_PROXY : 0, i);
  if (g->dump_type == RTM_GETLINK) return veth(i);
  // From the head of the list both ways, and without the walk for a duplicate: each costs the same (perf note §6).
  int descending = strcmp(g->name, "rules-descending") == 0;
  rule(action, descending ? 0 : NLM_F_EXCL, descending && action == ADD ? n - 1 - i : i);
}

static char received[32768];

// Sends what is in the buffer and reads until the ACK of the last message.
static void flush(int fd) {
  if (send(fd, buffer, used, 0) != (ssize_t)used) die("send");
  used = 0;
  for (;;) {
    ssize_t size = recv(fd, received, sizeof received, 0);
    if (size < 0) die("recv");
    for (struct nlmsghdr *m = (void *)received; NLMSG_OK(m, size); m = NLMSG_NEXT(m, size)) {
      struct nlmsgerr *answer = NLMSG_DATA(m);
      if (m->nlmsg_type != NLMSG_ERROR) continue;
      errno = -answer->error;
      if (errno != 0) die("refused");
      if (m->nlmsg_seq == sequence) return;
    }
  }
}

typedef void (*builder)(const struct group *g, enum action action, unsigned i, unsigned n);
static void build_peer_up(const struct group *g, enum action a, unsigned i, unsigned n) {
  (void)g, (void)a, (void)n;
  peer_up(i);
}

static void run(int fd, builder message, const struct group *g, enum action action, unsigned n) {
  for (unsigned i = 0; i < n;) {
    size_t last = 0;
    for (int k = 0; k < batch && i < n; k++, i++) {
      last = used;
      message(g, action, i, n);
    }
    ((struct nlmsghdr *)(buffer + last))->nlmsg_flags |= NLM_F_ACK;
    flush(fd);
  }
}

static unsigned dump(const struct group *g) {
  union {
    struct rtmsg route;
    struct ndmsg neighbour;
    struct fib_rule_hdr rule;
    struct ifinfomsg link;
  } body = {0};
  struct nlmsghdr *m;
  used = 0;
  if (g->dump_type == RTM_GETROUTE) {
    body.route.rtm_family = g->family;
    m = begin(g->dump_type, NLM_F_DUMP, &body, sizeof body.route);
    put32(m, RTA_TABLE, TABLE);
  } else if (g->dump_type == RTM_GETNEIGH) {
    body.neighbour.ndm_family = g->family;
    body.neighbour.ndm_flags = g->proxy ? NTF_PROXY : 0;
    if (g->family == AF_BRIDGE) body.neighbour.ndm_ifindex = link_index;
    m = begin(g->dump_type, NLM_F_DUMP, &body, sizeof body.neighbour);
    if (g->family != AF_BRIDGE && !g->proxy) put32(m, NDA_IFINDEX, link_index);
  } else if (g->dump_type == RTM_GETRULE) {
    body.rule.family = g->family;
    m = begin(g->dump_type, NLM_F_DUMP, &body, sizeof body.rule);
  } else {
    m = begin(g->dump_type, NLM_F_DUMP, &body, sizeof body.link);
    put32(m, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
  }
  end(m);
  if (send(sock, buffer, used, 0) < 0) die("send dump");
  used = 0;
  for (unsigned count = 0;;) {
    ssize_t size = recv(sock, received, sizeof received, 0);
    if (size < 0) die("recv dump");
    for (struct nlmsghdr *r = (void *)received; NLMSG_OK(r, size); r = NLMSG_NEXT(r, size)) {
      if (r->nlmsg_type == NLMSG_DONE) return count;
      if (r->nlmsg_type == NLMSG_ERROR) {
        errno = -((struct nlmsgerr *)NLMSG_DATA(r))->error;
        if (errno == ENOENT) return 0; // a table that does not exist is empty
        die("dump");
      }
      count++;
    }
  }
}

static void remove_all(const struct group *g, unsigned n) {
  if (g->dump_type != RTM_GETLINK) {
    run(sock, build, g, DELETE, n);
    return;
  }
  // `ip link del group 77`: one message and one grace period for all of them
  struct ifinfomsg body = {0};
  struct nlmsghdr *m = begin(RTM_DELLINK, NLM_F_ACK, &body, sizeof body);
  put32(m, IFLA_GROUP, LINK_GROUP);
  end(m);
  flush(sock);
}

static int peer_socket = -1;

static void add_all(const struct group *g, unsigned n) {
  run(sock, build, g, ADD, n);
  if (peer_socket >= 0) run(peer_socket, build_peer_up, g, ADD, n);
}

static const struct group *find(const char *name) {
  for (size_t i = 0; i < sizeof groups / sizeof *groups; i++)
    if (strcmp(groups[i].name, name) == 0) return &groups[i];
  errno = EINVAL;
  die(name);
  return NULL;
}

int main(int argc, char **argv) {
  if (argc < 4) {
    fprintf(stderr, "usage: limit GROUP COUNT DEVICE [PEER_PID] | limit count GROUP DEVICE\n");
    return 2;
  }
  int counting = strcmp(argv[1], "count") == 0;
  const struct group *g = find(counting ? argv[2] : argv[1]);
  if ((link_index = if_nametoindex(argv[3])) == 0) die(argv[3]);
  batch = getenv("BATCH") ? atoi(getenv("BATCH")) : g->batch;
  if (batch < 1 || batch > 2048) batch = g->batch;
  if (!counting && argc > 4) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%s/ns/net", argv[4]);
    int own = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    if ((peer_namespace = open(path, O_RDONLY | O_CLOEXEC)) < 0) die(path);
    if (setns(peer_namespace, CLONE_NEWNET)) die("setns");
    peer_socket = open_socket();
    if (setns(own, CLONE_NEWNET)) die("setns back");
    close(own);
  }
  sock = open_socket();
  unsigned before = dump(g);
  if (counting) {
    printf("%u\n", before);
    return 0;
  }
  unsigned n = strtoul(argv[2], NULL, 10), most = g->dump_type == RTM_GETLINK ? WARM_LINKS : WARM;
  unsigned warm = n < most ? n : most;
  add_all(g, warm);
  dump(g);
  remove_all(g, warm);

  double wall[4], cpu[4];
  wall[0] = now(), cpu[0] = processor();
  add_all(g, n);
  wall[1] = now(), cpu[1] = processor();
  unsigned count = dump(g) - before;
  wall[2] = now(), cpu[2] = processor();
  remove_all(g, n);
  wall[3] = now(), cpu[3] = processor();
  printf("{\"add\":%.6f,\"dump\":%.6f,\"delete\":%.6f,\"count\":%u,", wall[1] - wall[0], wall[2] - wall[1],
         wall[3] - wall[2], count);
  printf("\"cpu\":{\"add\":%.6f,\"dump\":%.6f,\"delete\":%.6f}}\n", cpu[1] - cpu[0], cpu[2] - cpu[1], cpu[3] - cpu[2]);
  return 0;
}
