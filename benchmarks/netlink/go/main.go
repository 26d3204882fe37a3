// The Go contender: github.com/vishvananda/netlink on one handle, as Kubernetes network plugins use it.
//
//	contender GROUP COUNT DEVICE [PEER_PID]   prints {"add","dump","delete" in seconds,"count","cpu":{...}}
package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

const (
	table    = 1000
	priority = 1000
	warm     = 2000
)

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "go contender:", err)
		os.Exit(1)
	}
}

// processor time of this process, user and system, in seconds
func processor() float64 {
	var u unix.Rusage
	check(unix.Getrusage(unix.RUSAGE_SELF, &u))
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}

func ipv4(base uint32, i int) net.IP {
	a := base + uint32(i)
	return net.IP{byte(a >> 24), byte(a >> 16), byte(a >> 8), byte(a)}
}

func ipv6(i int) net.IP {
	a := make(net.IP, 16)
	a[0] = 0xfd
	a[12], a[13], a[14], a[15] = byte(i>>24), byte(i>>16), byte(i>>8), byte(i)
	return a
}

func mac(i int) net.HardwareAddr {
	return net.HardwareAddr{2, 0, byte(i >> 24), byte(i >> 16), byte(i >> 8), byte(i)}
}

// operations of one group
type group struct {
	add, remove func(i int) error
	dump        func() (int, error)
	after       func(n int) error
}

func routes(h *netlink.Handle, link int, family int) group {
	// Only the library's route dumps are made for strict checking, which lets the kernel filter by table.
	check(h.SetStrictCheck(true))
	route := func(i int) *netlink.Route {
		r := &netlink.Route{LinkIndex: link, Table: table, Protocol: unix.RTPROT_STATIC}
		if family == netlink.FAMILY_V4 {
			r.Scope = netlink.SCOPE_LINK
			r.Dst = &net.IPNet{IP: ipv4(0x0a000001, i), Mask: net.CIDRMask(32, 32)}
		} else {
			r.Dst = &net.IPNet{IP: ipv6(i + 1), Mask: net.CIDRMask(128, 128)}
		}
		return r
	}
	return group{
		add:    func(i int) error { return h.RouteAdd(route(i)) },
		remove: func(i int) error { return h.RouteDel(route(i)) },
		dump: func() (int, error) {
			list, err := h.RouteListFiltered(family, &netlink.Route{Table: table}, netlink.RT_FILTER_TABLE)
			if errors.Is(err, unix.ENOENT) {
				err = nil // a table that does not exist is empty
			}
			return len(list), err
		},
	}
}

func neighbours(h *netlink.Handle, link, family, flags int) group {
	neigh := func(i int) *netlink.Neigh {
		n := &netlink.Neigh{LinkIndex: link, Family: family, Flags: flags, State: netlink.NUD_PERMANENT}
		switch {
		case family == unix.AF_BRIDGE:
			n.IP = ipv4(0xac100001, i)
		case family == netlink.FAMILY_V6:
			n.IP = ipv6(i + 1)
		default:
			n.IP = ipv4(0x0a000001, i)
		}
		if flags != netlink.NTF_PROXY {
			n.HardwareAddr = mac(i + 1)
		} else {
			n.State = 0
		}
		return n
	}
	return group{
		add:    func(i int) error { return h.NeighAdd(neigh(i)) },
		remove: func(i int) error { return h.NeighDel(neigh(i)) },
		dump: func() (int, error) {
			if flags == netlink.NTF_PROXY {
				list, err := h.NeighProxyList(link, family)
				return len(list), err
			}
			list, err := h.NeighList(link, family)
			return len(list), err
		},
	}
}

func rules(h *netlink.Handle) group {
	rule := func(i int) *netlink.Rule {
		r := netlink.NewRule()
		r.Family = netlink.FAMILY_V4
		r.Src = &net.IPNet{IP: ipv4(0x0a000001, i), Mask: net.CIDRMask(32, 32)}
		r.Priority = priority + i
		r.Table = table
		return r
	}
	return group{
		add:    func(i int) error { return h.RuleAdd(rule(i)) },
		remove: func(i int) error { return h.RuleDel(rule(i)) },
		dump: func() (int, error) {
			list, err := h.RuleList(netlink.FAMILY_V4)
			return len(list), err
		},
	}
}

// The library has no delete by link group, so links go one by one.
func links(h *netlink.Handle, pid int) group {
	ns, err := netns.GetFromPid(pid)
	check(err)
	peers, err := netlink.NewHandleAt(ns, unix.NETLINK_ROUTE)
	check(err)
	name := func(i int) string { return "h" + strconv.Itoa(i) }
	return group{
		add: func(i int) error {
			attributes := netlink.NewLinkAttrs()
			attributes.Name = name(i)
			attributes.Flags = net.FlagUp
			veth := &netlink.Veth{LinkAttrs: attributes, PeerName: "p" + strconv.Itoa(i), PeerNamespace: netlink.NsFd(ns)}
			return h.LinkAdd(veth)
		},
		after: func(n int) error {
			for i := 0; i < n; i++ {
				peer, err := peers.LinkByName("p" + strconv.Itoa(i))
				if err == nil {
					err = peers.LinkSetUp(peer)
				}
				if err != nil {
					return err
				}
			}
			return nil
		},
		remove: func(i int) error {
			link, err := h.LinkByName(name(i))
			if err != nil {
				return err
			}
			return h.LinkDel(link)
		},
		dump: func() (int, error) {
			list, err := h.LinkList()
			return len(list), err
		},
	}
}

func (g group) addAll(n int) {
	for i := 0; i < n; i++ {
		check(g.add(i))
	}
	if g.after != nil {
		check(g.after(n))
	}
}

func (g group) removeAll(n int) {
	for i := 0; i < n; i++ {
		check(g.remove(i))
	}
}

func main() {
	name := os.Args[1]
	n, err := strconv.Atoi(os.Args[2])
	check(err)
	h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	check(err)
	device, err := h.LinkByName(os.Args[3])
	check(err)
	link := device.Attrs().Index
	warmCount := min(n, warm)
	var g group
	switch name {
	case "routes4":
		g = routes(h, link, netlink.FAMILY_V4)
	case "routes6":
		g = routes(h, link, netlink.FAMILY_V6)
	case "fdb":
		g = neighbours(h, link, unix.AF_BRIDGE, netlink.NTF_SELF)
	case "neigh4":
		g = neighbours(h, link, netlink.FAMILY_V4, 0)
	case "neigh6":
		g = neighbours(h, link, netlink.FAMILY_V6, 0)
	case "proxy4":
		g = neighbours(h, link, netlink.FAMILY_V4, netlink.NTF_PROXY)
	case "proxy6":
		g = neighbours(h, link, netlink.FAMILY_V6, netlink.NTF_PROXY)
	case "rules", "rules-descending":
		g = rules(h)
	case "links":
		pid, err := strconv.Atoi(os.Args[4])
		check(err)
		g = links(h, pid)
		warmCount = min(n, 4)
	default:
		check(fmt.Errorf("unknown group %q", name))
	}

	before, err := g.dump()
	check(err)
	g.addAll(warmCount)
	_, err = g.dump()
	check(err)
	g.removeAll(warmCount)

	var wall, cpu []float64
	var count int
	start := time.Now()
	mark := func() {
		wall = append(wall, time.Since(start).Seconds())
		cpu = append(cpu, processor())
	}
	mark()
	g.addAll(n)
	mark()
	count, err = g.dump()
	check(err)
	mark()
	g.removeAll(n)
	mark()
	fmt.Printf("{\"add\":%.6f,\"dump\":%.6f,\"delete\":%.6f,\"count\":%d,\"cpu\":{\"add\":%.6f,\"dump\":%.6f,\"delete\":%.6f}}\n",
		wall[1]-wall[0], wall[2]-wall[1], wall[3]-wall[2], count-before, cpu[1]-cpu[0], cpu[2]-cpu[1], cpu[3]-cpu[2])
}
