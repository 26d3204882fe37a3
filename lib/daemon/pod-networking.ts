// What the CNI server asks of the rest of the daemon: addresses from the cluster view, readiness from the dataplane. All
// waiting is on events, with the caller's deadline (R-SRV-06).
import {
  ANNOTATION_CALICO_POD_IPS,
  IPINSTANCES,
  LABEL_POD,
  NAMESPACES,
  podNameLabel,
  PODS,
  versionsOf,
  wishesOf,
  type IPInstance,
  type Namespace,
  type ParsedIPInstance,
  type Wishes,
} from '../api/index.ts'
import { familyOf, formatAddress, formatMac, type Family, type IPAddress } from '../ip/index.ts'
import {
  errorText,
  involvedObject,
  isConflict,
  isNotFound,
  isRetryable,
  sleep,
  type EventRecorder,
  type KubeClient,
  type KubeObject,
} from '../kube/index.ts'
import { ping, type NetworkNamespace } from '../netlink/index.ts'
import type { Logger } from '../telemetry/log.ts'
import {
  apiWriteRefused,
  inconsistentAddresses,
  invalidNetworkConfiguration,
  podGone,
  tryAgain,
  type CniError,
} from './cni/errors.ts'
import type { AssignedPod, Attachment, NetworkStatus, PodAddresses, PodNetworking, PodReference } from './cni/types.ts'
import { podFamily, type FamilyDefaults, type KeptAddress } from './pod-family.ts'
import type { ClusterView } from './view/cluster-view.ts'
import { projectIPInstance, projectPod } from './view/projections.ts'
import type { VlanAddress, VlanAddresses } from './vlan/index.ts'
import { Waiters } from './waiters.ts'

/** What is asked of the dataplane. */
export interface PodDataplane {
  /** What a pod address still lacks in the node's kernel (rule, proxy neighbour, device), one finding each; empty when ready. */
  missingFor(address: IPAddress): readonly string[]
  /** MTU of pods of a mode; null while the parent device is missing. */
  mtuOf(mode: PodAddresses['mode'], addresses: readonly IPAddress[]): number | null
  /** Global unicast addresses of the node, for the connectivity check. */
  hasNodeAddress(family: Family): boolean
  /** Fails of late, for longer than a minute: findings. */
  stuck(): readonly string[]
  readonly ready: boolean
}

export interface PodNetworkingOptions {
  readonly client: KubeClient
  readonly view: ClusterView
  readonly dataplane: PodDataplane
  /** Asks about addresses of VLAN pods, and announces them. */
  readonly vlan: Pick<VlanAddresses, 'check' | 'announce'>
  readonly hostNamespace: NetworkNamespace
  readonly nodeName: string
  readonly log: Logger
  readonly defaults: FamilyDefaults
  readonly events: EventRecorder
  readonly checkConnectivity: boolean
  readonly updateStatus: boolean
  readonly patchCalicoAnnotation: boolean
}

const PING_ATTEMPTS = 5
const PING_INTERVAL_MS = 1000
const STATUS_PATCH_BUDGET_MS = 5000

export class NodePodNetworking implements PodNetworking {
  readonly hostNamespace: NetworkNamespace
  readonly #options: PodNetworkingOptions
  readonly #cluster = new Waiters()
  readonly #kernel = new Waiters()

  constructor(options: PodNetworkingOptions) {
    this.#options = options
    this.hostNamespace = options.hostNamespace
  }

  /** The cluster view changed: addresses somebody waits for may be there. */
  clusterChanged(): void {
    this.#cluster.notify()
  }

  /** The dataplane applied something: readiness somebody waits for may be there. */
  kernelChanged(): void {
    this.#kernel.notify()
  }

  async waitForAddresses(
    namespace: string,
    name: string,
    podUid: string | null,
    signal: AbortSignal,
  ): Promise<PodAddresses> {
    const pod = await this.#pod(namespace, name, podUid, signal)
    const answer = await podFamily({
      pod,
      defaults: this.#options.defaults,
      namespace: () => this.#namespace(namespace, signal),
      retained: () => this.#retained(namespace, name, pod.uid, signal),
    })
    if ('problem' in answer) throw invalidNetworkConfiguration(`pod ${namespace}/${name}: ${answer.problem}`)
    const wanted = versionsOf(answer.family)
    const found = (): readonly ParsedIPInstance[] => this.#options.view.instancesOf(pod.uid)
    const instances = await this.#cluster.until(
      () => (found().length >= wanted.length ? found() : null),
      signal,
      () =>
        tryAgain('addresses not assigned yet', `${answer.family}: expected ${wanted.length}, found ${found().length}`),
    )
    return await this.#assemble(namespace, name, pod.uid, instances, wanted, signal)
  }

  async #pod(
    namespace: string,
    name: string,
    podUid: string | null,
    signal: AbortSignal,
  ): Promise<ReturnType<typeof projectPod>> {
    const known = this.#options.view.pod(namespace, name)
    if (known !== undefined && (podUid === null || hasUid(known, podUid))) return known
    // The watch may lag behind the runtime: ask the API itself before saying no.
    let pod: ReturnType<typeof projectPod>
    try {
      pod = projectPod(await this.#options.client.get<KubeObject>(PODS, { namespace, name }, { signal }))
    } catch (error) {
      if (isNotFound(error)) throw podGone(`pod ${namespace}/${name} does not exist`)
      throw tryAgain(`pod ${namespace}/${name} cannot be read`, errorText(error))
    }
    if (podUid !== null && !hasUid(pod, podUid)) {
      throw podGone(
        `pod ${namespace}/${name} was re-created`,
        `the runtime asks for UID ${podUid}, the API has ${pod.uid}`,
      )
    }
    if (pod.nodeName !== this.#options.nodeName) {
      throw podGone(`pod ${namespace}/${name} is not on this node`, `it is bound to '${pod.nodeName}'`)
    }
    return pod
  }

  async #namespace(name: string, signal: AbortSignal): Promise<Wishes> {
    try {
      return wishesOf(await this.#options.client.get<Namespace>(NAMESPACES, { name }, { signal }))
    } catch (error) {
      throw tryAgain(`namespace ${name} cannot be read`, errorText(error))
    }
  }

  /** What was made for this life of the pod and never used is no answer: of two addresses the second may be on its way. */
  async #retained(namespace: string, name: string, uid: string, signal: AbortSignal): Promise<KeptAddress[]> {
    const labelSelector = `${LABEL_POD}=${podNameLabel(name)}`
    try {
      const { items } = await this.#options.client.list(IPINSTANCES, {
        namespace,
        labelSelector,
        signal,
        project: projectIPInstance,
      })
      return items.flatMap(({ value, rebound, sandboxId }) =>
        value === null || value.terminating || (value.podUID === uid && !rebound && sandboxId === null) ? [] : [value],
      )
    } catch (error) {
      throw tryAgain(`IPInstances of pod ${namespace}/${name} cannot be read`, errorText(error))
    }
  }

  async #assemble(
    namespace: string,
    name: string,
    uid: string,
    instances: readonly ParsedIPInstance[],
    wanted: readonly Family[],
    signal: AbortSignal,
  ): Promise<PodAddresses> {
    const { network, ...pod } = checkInstances(namespace, name, uid, instances)
    const families = pod.addresses.map(({ address }) => familyOf(address))
    if (families.join() !== wanted.join()) {
      const message = `it has addresses of families ${families.join(', ')}, expected ${wanted.join(', ')}`
      throw inconsistentAddresses(`pod ${namespace}/${name}: ${message}`)
    }
    const { mode, mtu } = await this.#cluster.until(
      () =>
        this.#fabric(
          network,
          pod.addresses.map(({ address }) => address),
        ),
      signal,
      () =>
        tryAgain(
          `network ${network} is not usable on this node yet`,
          this.#options.view.problems.get(`network/${network}`) ?? '',
        ),
    )
    return { ...pod, network, mtu, mode }
  }

  #fabric(network: string, addresses: readonly IPAddress[]): { mode: PodAddresses['mode']; mtu: number } | null {
    const mode = this.#options.view.network(network)?.mode
    const mtu = mode === undefined ? null : this.#options.dataplane.mtuOf(mode, addresses)
    return mode === undefined || mtu === null ? null : { mode, mtu }
  }

  /** Felix learns a pod's addresses from the annotation before the kubelet reports them (R-SRV-11). */
  async beforeAttach(pod: PodAddresses, signal: AbortSignal): Promise<void> {
    if (!this.#options.patchCalicoAnnotation) return
    const text = pod.addresses.map(({ address }) => formatAddress(address)).join(',')
    const body = { metadata: { annotations: { [ANNOTATION_CALICO_POD_IPS]: text } } }
    try {
      await this.#options.client.patch('merge', PODS, pod, body, { signal })
    } catch (error) {
      throw apiWriteRefused(
        `pod ${pod.namespace}/${pod.name}: annotation ${ANNOTATION_CALICO_POD_IPS} was refused`,
        errorText(error),
      )
    }
  }

  async waitReady(pod: PodAddresses, signal: AbortSignal): Promise<void> {
    const missing = (): string[] =>
      pod.addresses.flatMap(({ address }) => [...this.#options.dataplane.missingFor(address)])
    await this.#kernel.until(
      () => (missing().length === 0 ? true : null),
      signal,
      () => tryAgain('the node is not ready for the pod yet', missing().join('; ')),
    )
    const onVlan = this.#vlanAddresses(pod)
    await Promise.all([this.#connectivity(pod, signal), this.#options.vlan.check(onVlan, signal)])
    this.#options.vlan.announce(onVlan)
  }

  /** The addresses that neighbours on a VLAN will see; none for pods of other modes. */
  #vlanAddresses(pod: PodAddresses): VlanAddress[] {
    if (pod.mode !== 'VLAN') return []
    const instances = this.#options.view.instancesOf(pod.uid)
    return pod.addresses.map(({ address, gateway }) => {
      const vlanId = instances.find((instance) => instance.address === address)?.netID ?? null
      return { address, gateway, vlanId }
    })
  }

  async #connectivity(pod: PodAddresses, signal: AbortSignal): Promise<void> {
    if (!this.#options.checkConnectivity) return
    await Promise.all(
      pod.addresses
        .filter(({ address }) => this.#options.dataplane.hasNodeAddress(typeof address === 'number' ? 4 : 6))
        .map(({ address }) => this.#reach(address, signal)),
    )
  }

  async #reach(address: IPAddress, signal: AbortSignal): Promise<void> {
    for (let attempt = 1; attempt <= PING_ATTEMPTS && !signal.aborted; attempt++) {
      if ((await ping(this.hostNamespace, address, PING_INTERVAL_MS)) !== null) return
    }
    throw tryAgain(
      `the pod does not answer from the node`,
      `${PING_ATTEMPTS} pings to ${formatAddress(address)} were lost`,
    )
  }

  checkReady(pod: PodAddresses): Promise<readonly string[]> {
    const findings = pod.addresses.flatMap(({ address }) => [...this.#options.dataplane.missingFor(address)])
    const bound = new Set(this.#options.view.instancesOf(pod.uid).map(({ address }) => address))
    for (const { address } of pod.addresses) {
      if (!bound.has(address)) findings.push(`${formatAddress(address)} is not bound to pod UID ${pod.uid} any more`)
    }
    return Promise.resolve(findings)
  }

  status(): NetworkStatus {
    const reasons: string[] = []
    if (!this.#options.view.synced) reasons.push('the cluster state has not been read yet')
    if (!this.#options.dataplane.ready) reasons.push('the kernel has not been brought in order yet')
    const stuck = this.#options.dataplane.stuck()
    return {
      ready: reasons.length === 0 && stuck.length === 0,
      existingPodsAffected: stuck.length > 0,
      reasons: [...reasons, ...stuck],
    }
  }

  async onAttached(attachment: Attachment): Promise<void> {
    if (!this.#options.updateStatus) return
    const { pod, containerId } = attachment
    const status = {
      sandboxID: containerId,
      nodeName: this.#options.nodeName,
      podNamespace: pod.namespace,
      podName: pod.name,
      updateTimestamp: `${new Date().toISOString().slice(0, 19)}Z`,
    }
    const instances = this.#options.view.instancesOf(pod.uid)
    await Promise.all(instances.map((instance) => this.#patchStatus(instance, status)))
  }

  async #patchStatus(instance: ParsedIPInstance, status: NonNullable<IPInstance['status']>): Promise<void> {
    const deadline = Date.now() + STATUS_PATCH_BUDGET_MS
    for (let delay = 50; ; delay *= 2) {
      try {
        await this.#options.client.patchStatus('merge', IPINSTANCES, instance, { status })
        return
      } catch (error) {
        // The pod is gone already: nothing to tell.
        if (isNotFound(error)) return
        if (!(isRetryable(error) || isConflict(error)) || Date.now() + delay > deadline) throw error
        await sleep(delay)
      }
    }
  }

  onDetached(): Promise<void> {
    return Promise.resolve()
  }

  /** A person looks for the reason of a stuck pod on the pod (R-SRV-19). */
  onFailed({ namespace, name, uid }: PodReference, error: CniError): void {
    const text = error.details === '' ? error.message : `${error.message}: ${error.details}`
    const object = involvedObject(PODS, { namespace, name, uid: uid ?? '' })
    this.#options.events.event(object, 'Warning', 'PodNetworkFailed', text)
  }

  /** What an earlier daemon without records may have wired: pods whose addresses are in order. */
  assignedPods(): Promise<readonly AssignedPod[]> {
    const pods: AssignedPod[] = []
    for (const uid of this.#options.view.assignedPodUIDs()) {
      const instances = this.#options.view.instancesOf(uid)
      const [first] = instances
      if (first === undefined) continue
      try {
        const pod = checkInstances(first.namespace, first.podName, uid, instances)
        const addresses = pod.addresses.map(({ address }) => address)
        const fabric = this.#fabric(pod.network, addresses)
        if (fabric !== null) pods.push({ pod: { ...pod, ...fabric }, containerId: this.#options.view.sandboxOf(uid) })
      } catch (error) {
        this.#options.log.warn({ err: error, object: `${first.namespace}/${first.podName}` }, 'pod is not adopted')
      }
    }
    return Promise.resolve(pods)
  }

  knownPods(): Iterable<{ readonly namespace: string; readonly name: string }> | null {
    return this.#options.view.synced ? this.#options.view.knownPods() : null
  }

  async isPodGone({ pod }: Attachment): Promise<boolean> {
    try {
      const current = await this.#options.client.find<KubeObject>(PODS, pod)
      return current === null || current.metadata.uid !== pod.uid
    } catch (error) {
      this.#options.log.debug(
        { err: error, object: `${pod.namespace}/${pod.name}` },
        'cannot tell whether the pod is gone',
      )
      return false
    }
  }
}

/**
 * Whether the runtime means this pod. A static pod has two UIDs: the kubelet's own, which runtimes are given, and that of
 * its mirror in the API, which names the other in an annotation.
 */
export function hasUid(pod: Pick<ReturnType<typeof projectPod>, 'uid' | 'annotations'>, uid: string): boolean {
  return pod.uid === uid || pod.annotations['kubernetes.io/config.mirror'] === uid
}

/** One MAC, one Network, at most one address a family. @throws CniError 102 */
function checkInstances(
  namespace: string,
  name: string,
  uid: string,
  instances: readonly ParsedIPInstance[],
): Omit<PodAddresses, 'mode' | 'mtu'> {
  const sorted = [...instances].sort((a, b) => a.family - b.family)
  const fail = (message: string): Error => inconsistentAddresses(`pod ${namespace}/${name}: ${message}`)
  const [first, second] = sorted
  const mac = first?.mac ?? null
  if (first === undefined || mac === null) throw fail('its IPInstance has no readable MAC address')
  if (sorted.length > 2 || first.family === second?.family)
    throw fail(`it has ${sorted.length} addresses, expected one a family`)
  if (second !== undefined && second.mac !== mac) {
    throw fail(
      `its addresses have MACs ${formatMac(mac)} and ${second.mac === null ? 'none' : formatMac(second.mac)}, expected one`,
    )
  }
  if (second !== undefined && second.network !== first.network) {
    throw fail(`its addresses are of networks ${first.network} and ${second.network}, expected one`)
  }
  const addresses = sorted.map(({ address, prefixLength, gateway }) => ({ address, prefixLength, gateway }))
  return { namespace, name, uid, mac, network: first.network, addresses }
}
