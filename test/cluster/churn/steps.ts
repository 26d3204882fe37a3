// The steps of a churn: data, one JSON object a line, so that a list can be printed, kept, cut down and run again.
//
// A step names what it is about and never depends on how an earlier one went: on a cluster where its object is missing (or
// there already) it does nothing. So every part of a list is a list.
import type { Fault } from '../../../lib/standalone/index.ts'

/** How a pod is deleted. */
export type Ending = 'graceful' | 'force' | 'evict'

/** What a pod asks for: nothing, one family, or a subnet of its own. */
export type Wish = 'any' | 'IPv4Only' | 'IPv6Only' | `subnet:${string}`

/** Foreign hands on a node's kernel state; see damage.ts. */
export type Damage =
  | 'base-rule'
  | 'subnet-rule'
  | 'pod-routes'
  | 'overlay-routes'
  | 'marked-default'
  | 'fdb'
  | 'proxies'
  | 'nft-sets'
  | 'nft-table'
  | 'device-addresses'
  | 'device-down'
  | 'device'
  | 'stray-route'
  | 'stray-rule'
  | 'stray-fdb'
  | 'stray-proxy'

export type SetKind = 'Deployment' | 'StatefulSet'

export type Step =
  | { readonly do: 'namespace'; readonly name: string }
  | { readonly do: 'delete-namespace'; readonly name: string }
  | { readonly do: 'pod'; readonly pod: string; readonly wish: Wish }
  | { readonly do: 'delete-pod'; readonly pod: string; readonly how: Ending }
  /** Delete and create again under the same name, as soon as the API lets us. */
  | { readonly do: 'replace-pod'; readonly pod: string; readonly how: Ending; readonly wish: Wish }
  | {
      readonly do: 'set'
      readonly kind: SetKind
      readonly set: string
      readonly replicas: number
      readonly parallel: boolean
    }
  | { readonly do: 'scale'; readonly kind: SetKind; readonly set: string; readonly replicas: number }
  | { readonly do: 'delete-set'; readonly kind: SetKind; readonly set: string }
  /** Delete the pod that is `index`th by name among the set's. */
  | { readonly do: 'delete-set-pod'; readonly set: string; readonly index: number; readonly how: Ending }
  | { readonly do: 'subnet'; readonly name: string; readonly number: number; readonly size: number }
  | { readonly do: 'grow-subnet'; readonly name: string; readonly size: number }
  /** Its pods first, as the webhook would have it. */
  | { readonly do: 'delete-subnet'; readonly name: string }
  /** An update of the Network that changes nothing of its meaning. */
  | { readonly do: 'touch-network' }
  | { readonly do: 'kill'; readonly program: 'manager' | 'daemon'; readonly node?: string }
  | { readonly do: 'restart-kubelet'; readonly node: string; readonly downMs: number; readonly kill: boolean }
  | { readonly do: 'fault'; readonly fault: Fault; readonly forMs: number }
  | { readonly do: 'restart-api'; readonly downMs: number; readonly compact: boolean }
  | { readonly do: 'cut-watches' }
  | { readonly do: 'compact' }
  /** A second address of the node's interface comes or goes. */
  | { readonly do: 'node-address'; readonly node: string; readonly number: number; readonly present: boolean }
  | { readonly do: 'node-mac'; readonly node: string; readonly number: number }
  | { readonly do: 'damage'; readonly node: string; readonly what: Damage }
  /** Somebody else's route, rule, device and nft table beside ours, which must stay. */
  | { readonly do: 'foreign'; readonly node: string; readonly number: number }
  /** The machine comes new, or goes for good with what runs on it; drained first if asked. */
  | { readonly do: 'add-node'; readonly node: string }
  | { readonly do: 'remove-node'; readonly node: string; readonly drain: boolean }
  /** Everything of it that is not on disk is gone. */
  | { readonly do: 'reboot-node'; readonly node: string; readonly downMs: number }
  /** Frames are dropped: of all others, or of the API server alone. */
  | { readonly do: 'partition'; readonly node: string; readonly from: 'all' | 'api'; readonly forMs: number }
  /** Leave it alone until everything agrees. */
  | { readonly do: 'settle' }
  | { readonly do: 'pause'; readonly ms: number }

/** Every kind of step. */
export const kinds: ReadonlySet<string> = new Set<Step['do']>([
  'namespace',
  'delete-namespace',
  'pod',
  'delete-pod',
  'replace-pod',
  'set',
  'scale',
  'delete-set',
  'delete-set-pod',
  'subnet',
  'grow-subnet',
  'delete-subnet',
  'touch-network',
  'kill',
  'restart-kubelet',
  'fault',
  'restart-api',
  'cut-watches',
  'compact',
  'node-address',
  'node-mac',
  'damage',
  'foreign',
  'add-node',
  'remove-node',
  'reboot-node',
  'partition',
  'settle',
  'pause',
])

export function formatSteps(steps: readonly Step[]): string {
  return steps.map((step) => `${JSON.stringify(step)}\n`).join('')
}

/** The reverse of {@link formatSteps}; empty lines and those of `#` are passed over. @throws Error naming the line */
export function parseSteps(text: string): Step[] {
  const steps: Step[] = []
  for (const [index, line] of text.split('\n').entries()) {
    if (line.trim() === '' || line.startsWith('#')) continue
    let value: unknown
    try {
      value = JSON.parse(line)
    } catch (error) {
      throw new Error(`line ${index + 1}: not JSON: ${line}`, { cause: error })
    }
    const what = (value as { do?: unknown } | null)?.do
    if (typeof what !== 'string' || !kinds.has(what)) {
      throw new Error(`line ${index + 1}: do '${String(what)}': expected one of ${[...kinds].join(', ')}`)
    }
    steps.push(value as Step)
  }
  return steps
}

export const splitName = (key: string): { namespace: string; name: string } => {
  const [namespace = '', name = ''] = key.split('/')
  return { namespace, name }
}
