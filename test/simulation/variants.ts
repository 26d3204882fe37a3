// Bugs planted into the manager, to see that the simulation finds them. None is in lib: each is put there for one run, into the
// methods of a class or between the client and the server.
import { Allocator } from '../../lib/ipam/index.ts'
import { Ledger } from '../../lib/ipam/ledger.ts'
import { Topology } from '../../lib/ipam/topology.ts'
import { KubeClient, LeaderElector, type Exchange } from '../../lib/kube/index.ts'
import { scenarioOf, type Profile, type Scenario } from './scenario.ts'
import type { Reply } from './server/endpoint.ts'
import type { FaultRates } from './server/faults.ts'
import type { Tap } from './server/link.ts'
import type { Variant } from './simulation.ts'

export interface PlantedBug {
  readonly name: string
  readonly profile: Profile
  readonly variant: Variant
  /** The trouble that brings it out, more of it than a seed would draw. */
  readonly faults?: Partial<FaultRates>
  /** Rules of which one must be seen broken. */
  readonly breaks: readonly string[]
}

/** Another method for the length of a run. */
function instead<T extends object, K extends keyof T>(of: T, name: K, make: (original: T[K]) => T[K]): Variant {
  return {
    patch: () => {
      const original = of[name]
      of[name] = make(original)
      return () => (of[name] = original)
    },
  }
}

const between = (tap: Tap): Variant => ({ tap: () => tap })

function withBody(exchange: Exchange, change: (body: Record<string, unknown>) => Record<string, unknown>): Exchange {
  if (exchange.body === undefined) return exchange
  const body = JSON.parse(exchange.body) as Record<string, unknown>
  return { ...exchange, body: JSON.stringify(change(body)) }
}

function without(fields: Record<string, unknown>, ...names: string[]): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).filter(([name]) => !names.includes(name)))
}

function withMetadata(exchange: Exchange, ...leftOut: string[]): Exchange {
  return withBody(exchange, (body) => {
    const metadata = (body['metadata'] ?? {}) as Record<string, unknown>
    return { ...body, metadata: without(metadata, ...leftOut) }
  })
}

const isList = ({ method, path }: Exchange): boolean => method === 'GET' && /\?/.test(path) && !path.includes('watch=')
const ofInstances = ({ path }: Exchange): boolean => path.includes('/ipinstances')

/** The seed's scenario with the trouble the bug needs. */
export function scenarioFor({ profile, faults }: PlantedBug, seed: number): Scenario {
  const scenario = scenarioOf(seed, profile)
  return { ...scenario, link: { ...scenario.link, faults: { ...scenario.link.faults, ...faults } } }
}

/** An address is given to a second pod while a first has it, one way or the other. */
const TWICE = [
  'one address, one object',
  'one address, two pods',
  'the address of a running pod is left alone',
  'memory is the objects',
  'a stateful pod keeps its addresses',
]

const led = new WeakSet<LeaderElector>()

export const PLANTED_BUGS: readonly PlantedBug[] = [
  {
    name: 'release before unbind: an address is free as soon as its release is booked, while its object is still there',
    profile: 'faults',
    variant: instead(
      Allocator.prototype,
      'book',
      (original) =>
        function (this: Allocator, subnet, address, key) {
          const booked = original.call(this, subnet, address, key)
          this.gone(subnet, address, key)
          return booked
        },
    ),
    breaks: TWICE,
  },
  {
    name: 'rebuild from a stale cache: lists are taken as the server has them at hand',
    profile: 'faults',
    variant: between({
      request: (exchange) =>
        isList(exchange) && !exchange.path.includes('continue=')
          ? { ...exchange, path: `${exchange.path}&resourceVersion=0` }
          : exchange,
    }),
    breaks: [...TWICE, 'one MAC, one pod'],
  },
  {
    name: 'a partial list taken for all: what is not on the first page is not there',
    profile: 'crashes',
    variant: between({
      reply: (exchange, reply) =>
        isList(exchange) && ofInstances(exchange)
          ? { ...reply, body: reply.body.replace(/,"continue":"[^"]*"/, '') }
          : reply,
    }),
    breaks: [...TWICE, 'no address is leaked'],
  },
  {
    name: 'allocate without fencing: writes go on after leadership',
    profile: 'faults',
    variant: instead(
      KubeClient.prototype,
      'fenced',
      () =>
        function (this: KubeClient) {
          return this
        },
    ),
    breaks: [...TWICE, 'nobody writes after a successor has begun'],
  },
  {
    name: 'a leader that does not notice that its lease has run out',
    profile: 'faults',
    variant: instead(
      LeaderElector.prototype,
      'isLeader',
      (original) =>
        function (this: LeaderElector) {
          if (led.has(this) && !this.signal.aborted) return true
          const leads = original.call(this)
          if (leads) led.add(this)
          return leads
        },
    ),
    breaks: [...TWICE, 'nobody writes after a successor has begun'],
  },
  {
    name: 'no preconditions: a write meant for one object hits whatever has its name by now',
    profile: 'faults',
    variant: between({
      request: (exchange) =>
        exchange.method === 'DELETE'
          ? withBody(exchange, (body) => without(body, 'preconditions'))
          : exchange.method === 'PATCH'
            ? withMetadata(exchange, 'uid', 'resourceVersion')
            : exchange,
    }),
    breaks: [...TWICE, 'objects are as specified', 'no address is leaked'],
  },
  {
    name: 'a lost answer taken for a refusal: the claim is given up although its object exists',
    profile: 'faults',
    variant: between({
      lost: (exchange): Reply | null =>
        exchange.method === 'POST' && ofInstances(exchange)
          ? { status: 403, body: '{"kind":"Status","code":403,"reason":"Forbidden","message":"no"}' }
          : null,
    }),
    faults: { cutAfter: 0.3 },
    breaks: [...TWICE, 'one pod, one MAC', 'no address is leaked'],
  },
  {
    name: 'no owner check: the late end of an earlier object frees the address of its present holder',
    profile: 'faults',
    variant: instead(
      Ledger.prototype,
      'gone',
      (original) =>
        function (this: Ledger, address, key) {
          const holder = this.get(address)
          return original.call(
            this,
            address,
            holder === undefined ? key : { namespace: holder.namespace, uid: holder.uid },
          )
        },
    ),
    breaks: TWICE,
  },
  {
    name: 'no finalizer on stateful pods: they leave unseen',
    profile: 'crashes',
    variant: between({
      request: (exchange) =>
        exchange.method === 'PATCH' && exchange.path.includes('/pods/')
          ? withMetadata(exchange, 'finalizers')
          : exchange,
    }),
    breaks: ['no address is leaked', 'a stateful pod keeps its addresses'],
  },
  {
    name: 'MAC addresses are drawn without a look at those in use',
    profile: 'calm',
    variant: instead(Allocator.prototype, 'macInUse', () => () => false),
    breaks: ['one MAC, one pod'],
  },
  {
    name: 'sums of a network are not brought up to date',
    profile: 'calm',
    variant: instead(Topology.prototype, 'touched', () => () => undefined),
    breaks: ['counters are the objects'],
  },
  {
    name: 'deletions that are only seen, not done, are ignored (D62)',
    profile: 'faults',
    variant: instead(Allocator.prototype, 'gone', () => () => false),
    breaks: ['memory is the objects', 'who can have an address has one', 'a stateful pod keeps its addresses'],
  },
]
