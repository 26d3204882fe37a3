"""The Python contender: pyroute2's IPRoute, one call per object, as its manual shows it.

contender.py GROUP COUNT DEVICE     prints {"add", "dump", "delete" in seconds, "count", "cpu": {...}}
contender.py --version              prints the library's version, for the results
"""
import json
import sys
import time
from importlib.metadata import version
from ipaddress import IPv4Address, IPv6Address
from socket import AF_INET, AF_INET6

from pyroute2 import IPRoute

TABLE = 1000
PRIORITY = 1000
WARM = 200
NUD_PERMANENT = 0x80
NTF_PROXY = 8


def ipv4(i, base=0x0A000001):
    return str(IPv4Address(base + i))


def ipv6(i):
    return str(IPv6Address((0xFD << 120) + i + 1))


def mac(i):
    text = f"{0x020000000000 + i + 1:012x}"
    return ":".join(text[k : k + 2] for k in range(0, 12, 2))


def operations(ipr, group, device):
    """What to call with "add" and "del" for object i, and how to count."""
    if group in ("routes4", "routes6"):
        family, length, address = (AF_INET, 32, ipv4) if group == "routes4" else (AF_INET6, 128, ipv6)
        scope = 253 if group == "routes4" else 0

        def change(command, i):
            ipr.route(command, dst=address(i), dst_len=length, oif=device, table=TABLE, family=family, scope=scope, proto=4)

        return change, lambda: sum(1 for _ in ipr.get_routes(family=family, table=TABLE))
    if group == "fdb":

        def change(command, i):
            ipr.fdb(command, ifindex=device, lladdr=mac(i), dst=ipv4(i, 0xAC100001))

        return change, lambda: sum(1 for _ in ipr.fdb("dump", ifindex=device))
    if group in ("neigh4", "neigh6"):
        family, address = (AF_INET, ipv4) if group == "neigh4" else (AF_INET6, ipv6)

        def change(command, i):
            ipr.neigh(command, family=family, dst=address(i), lladdr=mac(i), ifindex=device, state=NUD_PERMANENT)

        return change, lambda: sum(1 for _ in ipr.get_neighbours(family=family, ifindex=device))
    if group in ("proxy4", "proxy6"):
        family, address = (AF_INET, ipv4) if group == "proxy4" else (AF_INET6, ipv6)

        def change(command, i):
            ipr.neigh(command, family=family, dst=address(i), ifindex=device, flags=NTF_PROXY)

        # The library cannot ask for a dump of proxy entries: flags given to "dump" filter the answer only.
        return change, None
    if group in ("rules", "rules-descending"):

        def change(command, i):
            ipr.rule(command, table=TABLE, priority=PRIORITY + i, src=ipv4(i), src_len=32)

        return change, lambda: sum(1 for _ in ipr.get_rules(family=AF_INET))
    raise SystemExit(f"unknown group {group}")


def main():
    if sys.argv[1] == "--version":
        print(version("pyroute2"))
        return
    group, count = sys.argv[1], int(sys.argv[2])
    with IPRoute() as ipr:
        device = ipr.link_lookup(ifname=sys.argv[3])[0]
        change, dump = operations(ipr, group, device)
        before = dump() if dump else 0
        warm = min(count, WARM)
        for command in ("add", "del"):
            for i in range(warm):
                change(command, i)

        def mark():
            return time.monotonic(), time.process_time()

        marks = [mark()]
        for i in range(count):
            change("add", i)
        marks.append(mark())
        found = dump() - before if dump else None
        marks.append(mark())
        for i in range(count):
            change("del", i)
        marks.append(mark())
    steps = [(b[0] - a[0], b[1] - a[1]) for a, b in zip(marks, marks[1:])]
    if not dump:
        steps[1] = (None, None)
    phases = ("add", "dump", "delete")
    wall = {phase: step[0] for phase, step in zip(phases, steps)}
    cpu = {phase: step[1] for phase, step in zip(phases, steps)}
    print(json.dumps({**wall, "count": found, "cpu": cpu}))


main()
