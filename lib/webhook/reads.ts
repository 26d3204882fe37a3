// What the rules ask of the cluster. Rules see only these interfaces, so they are pure but for waiting; a look-up that
// fails throws, and the review is answered with 500.
//
// Objects of ours are judged over live reads (they change rarely, and a stale copy could admit a second Overlay Network or
// overlapping Subnets); pods over the local copy, and once more over live reads before one is refused.
import type { Network, OwnerReference, RemoteCluster, RemoteSubnet, Subnet, Wishes } from '../api/index.ts'
import type { IPAddress } from '../ip/index.ts'

/** An IPInstance by its metadata: labels and name say all that rules need. */
export interface Holder {
  readonly namespace: string
  /** null when the object's name is no address. */
  readonly address: IPAddress | null
  /** What the name stands for, or the name itself. */
  readonly text: string
  /** The label: pod names over 63 characters are shortened. */
  readonly pod: string
  /** '' while the address is reserved. */
  readonly node: string
  readonly network: string
  readonly subnet: string
  readonly terminating: boolean
}

export interface NodeFact {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly terminating: boolean
}

/** Networks and Subnets at one time. */
export interface Topology {
  network(name: string): Network | null
  subnet(name: string): Subnet | null
  networks(): readonly Network[]
  subnets(): readonly Subnet[]
}

export interface PodReads {
  topology(): Promise<Topology>
  /** What the namespace asks for; null when there is no such namespace. */
  namespaceWishes(name: string): Promise<Wishes | null>
  /** IPInstances under the pod's name in its namespace. */
  holdersOfPod(namespace: string, pod: string): Promise<readonly Holder[]>
  /** The VirtualMachine of a VirtualMachineInstance; null when there is none, or KubeVirt is not there. */
  machineOf(namespace: string, instance: OwnerReference): Promise<OwnerReference | null>
  /** IPInstances of the VirtualMachine in its namespace. */
  holdersOfMachine(namespace: string, machine: string): Promise<readonly Holder[]>
}

/** What can be had without asking the API server. VirtualMachines cannot: nobody has permission to watch them (D36). */
export type CachedPodReads = Omit<PodReads, 'machineOf'>

export interface ObjectReads {
  topology(): Promise<Topology>
  nodes(): Promise<readonly NodeFact[]>
  /** In every namespace, terminating ones too. */
  holdersOfSubnet(subnet: string): Promise<readonly Holder[]>
  holdersOfNetwork(network: string): Promise<readonly Holder[]>
  remoteClusters(): Promise<readonly RemoteCluster[]>
  remoteSubnets(): Promise<readonly RemoteSubnet[]>
}

/** Pods named in one message at most. */
const SHOWN = 10

/** "default/web-0 (10.0.0.5), default/web-1 (10.0.0.6, reserved) and 3 more" */
export function describeHolders(holders: readonly Holder[]): string {
  const texts = holders.slice(0, SHOWN).map((holder) => {
    const notes = [holder.text, ...(holder.terminating ? ['being released'] : holder.node === '' ? ['reserved'] : [])]
    return `${holder.namespace}/${holder.pod || '(no pod)'} (${notes.join(', ')})`
  })
  const more = holders.length - texts.length
  return texts.join(', ') + (more > 0 ? ` and ${more} more` : '')
}
