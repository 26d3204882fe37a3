// Steps about subnets of their own beside the overlay's.
import {
  IPINSTANCES,
  PODS,
  SPECIFIED_SUBNET,
  SUBNETS,
  type IPInstance,
  type Pod,
  type Subnet,
} from '../../../../lib/api/index.ts'
import type { KubeClient } from '../../../../lib/kube/index.ts'
import { toNumber, toText } from '../blocks.ts'
import { keyOf } from '../objects.ts'
import { created, found, persist, sleep } from './requests.ts'

/** Where a step's subnet lies; the third is one of IPv6. */
function plan(number: number): { version: '4' | '6'; cidr: string; first: string } {
  return number === 3
    ? { version: '6', cidr: 'fd66:3::/112', first: 'fd66:3::10' }
    : { version: '4', cidr: `100.66.${2 * number}.0/24`, first: `100.66.${2 * number}.16` }
}

/** @returns the address `count` - 1 after `first` */
function lastOf(first: string, count: number): string {
  const { value, bits } = toNumber(first)
  return toText(value + BigInt(count - 1), bits)
}

/** One address inside every range is never to be used. */
const excludedOf = (first: string): string => lastOf(first, 3)

export function createSubnet(client: KubeClient, name: string, number: number, size: number): Promise<boolean> {
  const { version, cidr, first } = plan(number)
  const range = { version, cidr, start: first, end: lastOf(first, size), excludeIPs: [excludedOf(first)] }
  const config = { autoNatOutgoing: true, private: true }
  return created(() => client.create(SUBNETS, { metadata: { name }, spec: { network: 'overlay', range, config } }))
}

export async function growSubnet(client: KubeClient, name: string, size: number): Promise<boolean> {
  const subnet = await persist(() => client.find<Subnet>(SUBNETS, { name }))
  const start = subnet?.spec?.range.start
  if (!start) return false
  const end = lastOf(start, size)
  if (toNumber(end).value <= toNumber(subnet.spec?.range.end ?? start).value) return false
  return found(() => client.patch('merge', SUBNETS, { name }, { spec: { range: { end } } }))
}

/** As an operator does it: who uses it goes first, by `deletePod` of `namespace/name`. */
export async function deleteSubnet(
  client: KubeClient,
  name: string,
  deletePod: (pod: string) => Promise<unknown>,
): Promise<boolean> {
  const inUse = async (): Promise<boolean> => {
    const { items: pods } = await persist(() => client.list<Pod>(PODS))
    for (const pod of pods) {
      if (pod.metadata.annotations?.[SPECIFIED_SUBNET] !== name || pod.metadata.deletionTimestamp !== undefined)
        continue
      await deletePod(keyOf(pod))
    }
    const { items } = await persist(() => client.list<IPInstance>(IPINSTANCES))
    return items.some((instance) => instance.spec?.subnet === name)
  }
  if ((await persist(() => client.find(SUBNETS, { name }))) === null) return false
  // Faults may keep it in use for long; then it stays, as the webhook would have it.
  for (let attempt = 0; attempt < 50; attempt++) {
    if (!(await inUse())) return found(() => client.delete(SUBNETS, { name }))
    await sleep(100)
  }
  return false
}
