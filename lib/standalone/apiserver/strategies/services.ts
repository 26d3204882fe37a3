// Services: cluster addresses and node ports are given out of ranges, never twice.
import { fieldError } from '../errors.ts'
import type { FieldError } from '../errors.ts'
import { isObject, list, object, text } from '../json.ts'
import type { Strategy } from '../registry.ts'
import type { JsonObject, KubeObject } from '../types.ts'
import { fill } from './pods.ts'

/** Gives out numbers of a range, in order, starting after the last one given. */
class NumberPool {
  readonly #first: number
  readonly #last: number
  readonly #taken = new Set<number>()
  #next: number

  constructor(first: number, last: number) {
    this.#first = first
    this.#last = last
    this.#next = first
  }

  take(): number | undefined {
    for (let tries = this.#first; tries <= this.#last; tries++) {
      const candidate = this.#next
      this.#next = candidate === this.#last ? this.#first : candidate + 1
      if (this.#taken.has(candidate)) continue
      this.#taken.add(candidate)
      return candidate
    }
    return undefined
  }

  /** False when it is out of range or given already. */
  claim(value: number): boolean {
    if (value < this.#first || value > this.#last || this.#taken.has(value)) return false
    this.#taken.add(value)
    return true
  }

  free(value: number): void {
    this.#taken.delete(value)
  }
}

const toNumber = (address: string): number => address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0)
const toAddress = (value: number): string => [24, 16, 8, 0].map((shift) => (value >>> shift) & 255).join('.')

/**
 * The strategy of Services over one range.
 *
 * @param cidr IPv4 prefix such as `10.96.0.0/16`
 * @throws Error when it is none
 */
export function serviceStrategy(cidr: string): Strategy {
  const match = /^((?:\d{1,3}\.){3}\d{1,3})\/(\d{1,2})$/.exec(cidr)
  const length = Number(match?.[2])
  if (match === null || length < 8 || length > 30)
    throw new Error(`serviceCidr ${JSON.stringify(cidr)}: expected an IPv4 prefix of /8 to /30`)
  const size = 2 ** (32 - length)
  const base = Math.floor(toNumber(match[1] ?? '') / size) * size
  const addresses = new NumberPool(base + 1, base + size - 2)
  const nodePorts = new NumberPool(30000, 32767)
  /** What each service holds, so that a failed write never leaks and a change frees what is no longer used. */
  const held = new Map<string, { address: number | undefined; ports: number[] }>()

  const allocate = (service: KubeObject, old: KubeObject | undefined): void => {
    const spec = object(service, 'spec')
    const type = text(spec, 'type')
    if (type === 'ExternalName') return
    if (old !== undefined && spec['clusterIP'] === undefined) {
      for (const member of ['clusterIP', 'clusterIPs']) spec[member] = object(old, 'spec')[member]
    }
    if (spec['clusterIP'] === undefined || spec['clusterIP'] === '') {
      const taken = addresses.take()
      if (taken !== undefined) {
        spec['clusterIP'] = toAddress(taken)
        addresses.free(taken)
      }
    }
    spec['clusterIPs'] = [spec['clusterIP'] ?? '']
    if (type !== 'NodePort' && type !== 'LoadBalancer') return
    const before = list(old, 'spec', 'ports')
    for (const port of list(spec, 'ports').filter(isObject)) {
      if (typeof port['nodePort'] === 'number' && port['nodePort'] !== 0) continue
      const same = before.find(
        (one) => isObject(one) && one['port'] === port['port'] && one['protocol'] === port['protocol'],
      )
      const kept = isObject(same) ? same['nodePort'] : undefined
      const number = typeof kept === 'number' ? kept : nodePorts.take()
      if (number === undefined) continue
      port['nodePort'] = number
      if (kept === undefined) nodePorts.free(number)
    }
  }

  return {
    names: 'label1035',
    defaults: (service) => {
      const spec = object(service, 'spec')
      fill(spec, { type: 'ClusterIP', sessionAffinity: 'None' })
      if (spec['type'] !== 'ExternalName')
        fill(spec, { internalTrafficPolicy: 'Cluster', ipFamilies: ['IPv4'], ipFamilyPolicy: 'SingleStack' })
      if (spec['type'] === 'NodePort' || spec['type'] === 'LoadBalancer')
        fill(spec, { externalTrafficPolicy: 'Cluster' })
      if (spec['type'] === 'LoadBalancer') fill(spec, { allocateLoadBalancerNodePorts: true })
      for (const port of list(spec, 'ports').filter(isObject)) {
        fill(port, { protocol: 'TCP', targetPort: port['port'] })
        // Zero is how protobuf says absent.
        if (port['nodePort'] === 0) delete port['nodePort']
      }
    },
    prepareCreate: (service) => {
      service['status'] = { loadBalancer: {} }
      allocate(service, undefined)
    },
    prepareUpdate: (service, old) => allocate(service, old),
    validate: (service) =>
      validateService(service, (address) => toNumber(address) >= base && toNumber(address) < base + size, held, cidr),
    validateUpdate: (service, old) => {
      const before = text(old, 'spec', 'clusterIP')
      const after = text(service, 'spec', 'clusterIP')
      if (before === '' || after === before || text(service, 'spec', 'type') === 'ExternalName') return []
      return [fieldError.invalid('spec.clusterIPs[0]', [after], 'may not change once set')]
    },
    changed: (service, old) => {
      const uid = (service ?? old)?.metadata.uid ?? ''
      const previous = held.get(uid)
      if (previous?.address !== undefined) addresses.free(previous.address)
      for (const port of previous?.ports ?? []) nodePorts.free(port)
      held.delete(uid)
      if (service === undefined) return
      const address = text(service, 'spec', 'clusterIP')
      const number = /^[\d.]+$/.test(address) ? toNumber(address) : undefined
      if (number !== undefined) addresses.claim(number)
      const ports = list(service, 'spec', 'ports').flatMap((port) =>
        isObject(port) && typeof port['nodePort'] === 'number' ? [port['nodePort']] : [],
      )
      for (const port of ports) nodePorts.claim(port)
      held.set(uid, { address: number, ports })
    },
  }
}

function validateService(
  service: KubeObject,
  inRange: (address: string) => boolean,
  held: ReadonlyMap<string, { address: number | undefined; ports: readonly number[] }>,
  cidr: string,
): FieldError[] {
  const errors: FieldError[] = []
  const spec = object(service, 'spec')
  const types = ['ClusterIP', 'ExternalName', 'LoadBalancer', 'NodePort']
  if (!types.includes(text(spec, 'type'))) errors.push(fieldError.notSupported('spec.type', spec['type'], types))
  const address = text(spec, 'clusterIP')
  const others = [...held].filter(([uid]) => uid !== service.metadata.uid).map(([, what]) => what)
  if (address !== '' && address !== 'None') {
    if (!/^(\d{1,3}\.){3}\d{1,3}$/.test(address) || !inRange(address)) {
      errors.push(fieldError.invalid('spec.clusterIPs', [address], `failed to allocate IP ${address}: the provided IP (${address}) is not in the valid range. The range of valid IPs is ${cidr}`)) // prettier-ignore
    } else if (others.some((other) => other.address === toNumber(address))) {
      errors.push(
        fieldError.invalid(
          'spec.clusterIPs',
          [address],
          `failed to allocate IP ${address}: provided IP is already allocated`,
        ),
      )
    }
  }
  const ports = list(spec, 'ports')
  if (ports.length === 0 && address !== 'None' && spec['type'] !== 'ExternalName')
    errors.push(fieldError.required('spec.ports'))
  for (const [index, port] of ports.entries())
    errors.push(...validatePort(port as JsonObject, `spec.ports[${index}]`, ports.length, others))
  if (spec['type'] === 'ExternalName' && text(spec, 'externalName') === '')
    errors.push(fieldError.required('spec.externalName'))
  return errors
}

function validatePort(
  port: JsonObject,
  path: string,
  count: number,
  others: readonly { readonly ports: readonly number[] }[],
): FieldError[] {
  const errors: FieldError[] = []
  const number = port['port']
  if (typeof number !== 'number' || number < 1 || number > 65535) {
    errors.push(fieldError.invalid(`${path}.port`, number ?? 0, 'must be between 1 and 65535, inclusive'))
  }
  if (count > 1 && text(port, 'name') === '') errors.push(fieldError.required(`${path}.name`))
  if (!['TCP', 'UDP', 'SCTP'].includes(text(port, 'protocol'))) {
    errors.push(fieldError.notSupported(`${path}.protocol`, port['protocol'], ['SCTP', 'TCP', 'UDP']))
  }
  const nodePort = port['nodePort']
  if (typeof nodePort === 'number' && nodePort !== 0) {
    if (nodePort < 30000 || nodePort > 32767) {
      errors.push(
        fieldError.invalid(
          `${path}.nodePort`,
          nodePort,
          'provided port is not in the valid range. The range of valid ports is 30000-32767',
        ),
      )
    } else if (others.some((other) => other.ports.includes(nodePort))) {
      errors.push(fieldError.invalid(`${path}.nodePort`, nodePort, 'provided port is already allocated'))
    }
  }
  return errors
}
