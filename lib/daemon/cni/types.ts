// What the CNI server needs from the rest of the daemon, and the data it keeps. Pure types: the daemon's cluster view and
// dataplane implement PodNetworking, tests implement it with a table, and nothing here knows of Kubernetes.
import type { IPAddress } from '../../ip/index.ts'
import type { NetworkNamespace } from '../../netlink/index.ts'
import type { CniError } from './errors.ts'

/** A pod as the container runtime names it. */
export interface PodReference {
  readonly namespace: string
  readonly name: string
  /** K8S_POD_UID; null when the runtime (or an old shim over the v1 protocol) gave none. */
  readonly uid: string | null
}

/** One address of a pod, from its IPInstance. */
export interface PodAddress {
  readonly address: IPAddress
  /** Prefix length of the subnet, as in `IPInstance.spec.address.ip`. */
  readonly prefixLength: number
  /** Gateway of the subnet on the fabric; null when the subnet has none. It is reported, never programmed in the pod. */
  readonly gateway: IPAddress | null
}

/** How a pod's traffic leaves the node: `Network.spec.mode` with its default filled in. */
export type NetworkMode = 'VXLAN' | 'VLAN' | 'BGP' | 'GlobalBGP'

/** Everything the wiring of one pod needs; the result of {@link PodNetworking.waitForAddresses}. */
export interface PodAddresses {
  readonly namespace: string
  readonly name: string
  /** UID of the pod the addresses are bound to; never null. */
  readonly uid: string
  /** MAC of the pod's end, shared by all its IPInstances (48-bit number). */
  readonly mac: number
  /** MTU of both veth ends, bytes. */
  readonly mtu: number
  /** Name of the Network. */
  readonly network: string
  readonly mode: NetworkMode
  /** One or two addresses, at most one per family, in IPInstance order. */
  readonly addresses: readonly PodAddress[]
}

/** The daemon's verdict on itself, for STATUS (R-CNI-20) and `GET /healthz`. */
export interface NetworkStatus {
  /** true when an ADD could be served now. */
  readonly ready: boolean
  /** true when pods that already run may be affected too (a synchronisation failing for longer than 60 s): CNI error 51. */
  readonly existingPodsAffected: boolean
  /** Why not, one finding each; empty when ready. */
  readonly reasons: readonly string[]
}

/**
 * The daemon's side of the CNI server.
 *
 * Every method that waits takes a signal; when it aborts, the method must reject promptly with a {@link CniError} of code
 * TRY_AGAIN that says what was still missing ("expected 2 addresses, found 1"). Errors of this interface should be
 * CniErrors (errors.ts has a constructor per row of the catalogue); anything else is reported as code 999.
 */
export interface PodNetworking {
  /** The node's own namespace: H, table 39999 and the proxy neighbours live there. */
  readonly hostNamespace: NetworkNamespace

  /**
   * Wait until the manager has assigned the pod all addresses its family asks for, and nothing contradicts itself (one
   * MAC, one network, at most one address per family).
   *
   * @param podUid UID from the runtime; when the API knows the pod under another UID the answer is code 100 at once
   * @throws CniError 100 pod gone, 101 invalid configuration, 102 inconsistent addresses, 11 when `signal` aborts
   */
  waitForAddresses(
    podNamespace: string,
    podName: string,
    podUid: string | null,
    signal: AbortSignal,
  ): Promise<PodAddresses>

  /**
   * Everything that must succeed before anything is built, e.g. the podIPs annotation Felix reads (R-SRV-11).
   *
   * @throws CniError 106
   */
  beforeAttach?(addresses: PodAddresses, signal: AbortSignal): Promise<void>

  /**
   * Wait until the node can carry this pod's traffic: the forward interface exists, the source rule and the proxy
   * neighbour are in the kernel, BGP paths are announced; on a VLAN also gateway and duplicate probes. Called with the
   * pod's veth already wired; a rejection undoes the wiring.
   *
   * @throws CniError 11, 101, 104, 105
   */
  waitReady(addresses: PodAddresses, signal: AbortSignal): Promise<void>

  /**
   * What is wrong with a pod's node-side state beyond its own veth (CHECK): rule, proxy neighbour, IPInstance no longer
   * bound to the pod. One sentence per finding, empty when all is well.
   */
  checkReady(addresses: PodAddresses): Promise<readonly string[]>

  /** Synchronous: STATUS must answer even when nothing else does. */
  status(): NetworkStatus

  /** The pod is wired and recorded (status patch, policy). Informational: a failure is logged, never reported (R-SRV-12). */
  onAttached(attachment: Attachment): Promise<void>

  /** The pod's veth and record are gone (policy state, conntrack). Must be idempotent; a failure is logged. */
  onDetached(attachment: Attachment): Promise<void>

  /** An ADD failed for a reason a person should see on the pod: codes 101, 102, 104 and 105 (R-SRV-19). */
  onFailed?(pod: PodReference, error: CniError): void

  /**
   * The pods of this node whose addresses are assigned, with the container ID of their sandbox where it is known
   * (`IPInstance.status.sandboxID`): what an earlier daemon without records may have wired.
   */
  assignedPods?(): Promise<readonly AssignedPod[]>

  /**
   * Every pod the cluster knows on this node, terminating ones and those whose addresses or Network are not in order
   * included: none of their interfaces is an orphan. null while that is not known.
   */
  knownPods?(): Iterable<{ readonly namespace: string; readonly name: string }> | null

  /** Whether the attachment's pod no longer exists under its UID; false when that is not certain. */
  isPodGone?(attachment: Attachment): Promise<boolean>
}

/** See {@link PodNetworking.assignedPods}. */
export interface AssignedPod {
  readonly pod: PodAddresses
  readonly containerId: string | null
}

/** What is remembered of one attached interface, on disk for as long as namespaces live (R-SRV-10). */
export interface Attachment {
  readonly containerId: string
  /** CNI_IFNAME: name of the pod's end. */
  readonly ifname: string
  /** CNI_NETNS at ADD. */
  readonly netns: string
  /** Name of the node's end. */
  readonly hostInterface: string
  /** Interface index of the node's end: tells a successor of the same name apart. */
  readonly hostIndex: number
  readonly pod: PodAddresses
  /**
   * The pod's UID as the runtime gave it with ADD; null when it gave none. Not the API's for a static pod, whose object is a
   * mirror with a UID of its own.
   */
  readonly runtimeUid: string | null
  /** When ADD succeeded, milliseconds since 1970. */
  readonly createdAt: number
}
