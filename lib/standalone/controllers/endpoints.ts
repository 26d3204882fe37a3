// EndpointSlices and Endpoints of Services with a selector: which pods stand behind them. An endpoint stays in the slice
// it is in; a slice takes up to 100. Slices of other writers (another `managed-by`) are left alone.
import { ENDPOINT_SLICES, SERVICES } from '../../api/index.ts'
import { deepEqual, objectKey } from '../../kube/index.ts'
import { serviceNameLabel } from './caches.ts'
import { Controller, type ControllerOptions, unlessGone } from './controller.ts'
import { Expectations } from './expectations.ts'
import { type EndpointGroup, endpointGroups, hasEndpoints, subsetsOf } from './endpoints-plan.ts'
import { isTerminating } from './pods.ts'
import { canonical, controllerReference } from './template.ts'
import { type Endpoint, ENDPOINTS, type EndpointSlice, type Pod, type Service } from './types.ts'

const managedBy = 'endpointslice.kubernetes.io/managed-by'
const manager = 'endpointslice-controller.k8s.io'
const headless = 'service.kubernetes.io/headless'
/** Endpoints in a slice at most. */
const capacity = 100

export class EndpointsController extends Controller {
  /** Slices made, by key: their names are the server's choice, so one too many would stay. */
  readonly #expectations = new Expectations()

  constructor(options: ControllerOptions) {
    super(options, 'endpointslice-controller')
  }

  protected watch(): void {
    const { services, pods, slices, endpoints } = this.caches
    services.onChange(({ key }) => this.queue.add(key))
    pods.onChange(({ object, old }) => {
      for (const service of services.store.byIndex('namespace', object.metadata.namespace)) {
        if (selected(service, object) || (old !== null && selected(service, old))) {
          this.queue.add(objectKey(service.metadata))
        }
      }
    })
    // Somebody else's hand in what is ours.
    slices.onChange(({ key, object: { metadata } }) => {
      this.#expectations.observed(key)
      const name = metadata.labels?.[serviceNameLabel]
      if (name !== undefined) this.queue.add(`${metadata.namespace ?? ''}/${name}`)
    })
    endpoints.onChange(({ key }) => this.queue.add(key))
  }

  protected async sync(key: string): Promise<number | void> {
    const service = this.caches.services.store.get(key)
    // A service that is gone takes its slices along as their owner, and its Endpoints too.
    if (service === undefined || !hasEndpoints(service)) return this.#expectations.forget(key)
    const wait = this.#expectations.wait(key, (slice) => (this.caches.slices.store.has(slice) ? 'present' : 'absent'))
    if (wait > 0) return wait
    const pods = this.caches.pods.store
      .byIndex('namespace', service.metadata.namespace)
      .filter((pod) => selected(service, pod))
    const groups = endpointGroups(service, pods)
    await this.#writeSlices(service, key, groups)
    await this.#writeEndpoints(service, key, groups)
  }

  async #writeSlices(service: Service, key: string, groups: readonly EndpointGroup[]): Promise<void> {
    const present = this.caches.slices.store
      .byIndex('service', key)
      .filter(({ metadata }) => metadata.labels?.[managedBy] === manager && metadata.deletionTimestamp === undefined)
    const unused = new Set(present)
    for (const group of groups) {
      const own = present.filter(
        (slice) => slice.addressType === group.addressType && canonical(slice.ports ?? []) === canonical(group.ports),
      )
      for (const slice of own) unused.delete(slice)
      for (const { slice, endpoints } of distribute(own, group.endpoints)) {
        if (slice === null)
          this.#expectations.created(key, objectKey(await this.#createSlice(service, group, endpoints)))
        else if (endpoints.length === 0) unused.add(slice)
        else if (!deepEqual(slice.endpoints ?? [], endpoints)) await this.#updateSlice(slice, endpoints)
      }
    }
    for (const { metadata } of unused) {
      const preconditions = { uid: metadata.uid ?? '' }
      await unlessGone(this.client.delete(ENDPOINT_SLICES, metadata, { preconditions }))
    }
  }

  async #createSlice(
    { metadata, spec }: Service,
    { addressType, ports }: EndpointGroup,
    endpoints: readonly Endpoint[],
  ): Promise<EndpointSlice['metadata']> {
    const slice = await this.client.create(ENDPOINT_SLICES, {
      metadata: {
        generateName: `${metadata.name}-`,
        namespace: metadata.namespace,
        labels: {
          ...metadata.labels,
          [serviceNameLabel]: metadata.name,
          [managedBy]: manager,
          ...(spec.clusterIP === 'None' ? { [headless]: '' } : {}),
        },
        ownerReferences: [controllerReference(SERVICES, metadata)],
      },
      addressType,
      ports,
      endpoints,
    })
    return slice.metadata
  }

  async #updateSlice({ metadata }: EndpointSlice, endpoints: readonly Endpoint[]): Promise<void> {
    const { name, namespace, uid, resourceVersion } = metadata
    const body = { metadata: { uid, resourceVersion }, endpoints }
    await this.client.patch('merge', ENDPOINT_SLICES, { name, namespace }, body)
  }

  async #writeEndpoints(service: Service, key: string, groups: readonly EndpointGroup[]): Promise<void> {
    const { metadata, spec } = service
    const { name, namespace } = metadata
    const subsets = subsetsOf(service, groups)
    const present = this.caches.endpoints.store.get(key)
    const labels = { ...metadata.labels, ...(spec.clusterIP === 'None' ? { [headless]: '' } : {}) }
    const ownerReferences = [controllerReference(SERVICES, metadata)]
    if (present === undefined) {
      await this.client.create(ENDPOINTS, { metadata: { name, namespace, labels, ownerReferences }, subsets })
    } else if (!deepEqual(present.subsets ?? [], subsets)) {
      const { uid, resourceVersion } = present.metadata
      await this.client.patch(
        'merge',
        ENDPOINTS,
        { name, namespace },
        { metadata: { uid, resourceVersion, labels }, subsets },
      )
    }
  }
}

function selected({ metadata, spec }: Service, pod: Pod): boolean {
  const selector = Object.entries(spec.selector ?? {})
  if (selector.length === 0 || metadata.namespace !== pod.metadata.namespace) return false
  if (isTerminating(pod) && pod.metadata.deletionGracePeriodSeconds === 0) return false
  return selector.every(([key, value]) => pod.metadata.labels?.[key] === value)
}

/** Endpoints over the slices there are, each where it is, new ones where there is room; null is a slice to be made. */
function distribute(
  slices: readonly EndpointSlice[],
  endpoints: readonly Endpoint[],
): { slice: EndpointSlice | null; endpoints: Endpoint[] }[] {
  const identity = ({ targetRef, addresses }: Endpoint): string => `${targetRef?.uid ?? ''} ${addresses.join(',')}`
  const rest = new Map(endpoints.map((endpoint) => [identity(endpoint), endpoint]))
  const result: { slice: EndpointSlice | null; endpoints: Endpoint[] }[] = slices.map((slice) => {
    const kept: Endpoint[] = []
    for (const before of slice.endpoints ?? []) {
      const now = rest.get(identity(before))
      if (now === undefined) continue
      rest.delete(identity(before))
      kept.push(now)
    }
    return { slice, endpoints: kept }
  })
  for (const endpoint of rest.values()) {
    let home = result.find((candidate) => candidate.endpoints.length < capacity)
    if (home === undefined) result.push((home = { slice: null, endpoints: [] }))
    home.endpoints.push(endpoint)
  }
  return result
}
