// Partitions of the fabric: frames dropped at the bridge while every device stays up, so that nobody is told. Kept as one
// nftables table of family bridge, rewritten whole at each change and absent while there is no cut.
//
//   all   nothing enters or leaves by the node's port
//   api   nothing between the node and the bridge's own addresses, where the API server is reached
//   pair  nothing between two ports
import { runNft } from '../../nft/index.ts'
import { slowPort } from './slow-link.ts'

/** What is cut off from what. */
export type Cut =
  | { readonly hosts: readonly [string]; readonly from: 'all' | 'api' }
  | { readonly hosts: readonly [string, string]; readonly from: 'each other' }

const table = 'bridge hybridnet-fabric'

export class FabricCuts {
  /** What the kernel was told. */
  #cuts: readonly Cut[] = []
  /** Changes one after the other: each writes the whole table. */
  #last: Promise<void> = Promise.resolve()

  list(): readonly Cut[] {
    return this.#cuts
  }

  /** Begin or end a cut; one that is in force already, or not, stays so. @throws NftError of a kernel without bridge tables */
  set(cut: Cut, on: boolean): Promise<void> {
    return this.#change((cuts) => {
      const others = cuts.filter((other) => !equal(other, cut))
      return on ? [...others, cut] : others
    })
  }

  /** End all cuts of a host that is no more. */
  forget(host: string): Promise<void> {
    return this.#change((cuts) => cuts.filter(({ hosts }) => !(hosts as readonly string[]).includes(host)))
  }

  clear(): Promise<void> {
    return this.#change(() => [])
  }

  /** Equivalent to: `nft -f -` with the table, or with its deletion */
  #change(change: (cuts: readonly Cut[]) => readonly Cut[]): Promise<void> {
    const write = this.#last.then(async () => {
      const cuts = change(this.#cuts)
      if (cuts.length === 0 && this.#cuts.length === 0) return
      // Adding what may be there makes deleting it safe.
      const text = `add table ${table}\ndelete table ${table}\n${cuts.length === 0 ? '' : cutTable(cuts)}`
      await runNft({ namespace: null }, ['-f', '-'], 'fabric cuts', text)
      this.#cuts = cuts
    })
    this.#last = write.catch(() => undefined)
    return write
  }
}

/** The order of a pair is of no meaning. */
function equal(one: Cut, other: Cut): boolean {
  return one.from === other.from && [...one.hosts].sort().join(' ') === [...other.hosts].sort().join(' ')
}

/** The table of some cuts, in nft's language. */
export function cutTable(cuts: readonly Cut[]): string {
  const rules: Record<string, string[]> = {}
  const drop = (hook: string, match: string): void => void (rules[hook] ??= []).push(`${match} drop`)
  for (const { hosts, from } of cuts) {
    // A node has one port or the other, depending on its cable.
    const [a, b = ''] = hosts.map((host) => `{ "${host}", "${slowPort(host)}" }`)
    if (from === 'all') {
      drop('prerouting', `iifname ${a}`)
      drop('postrouting', `oifname ${a}`)
    } else if (from === 'api') {
      drop('input', `iifname ${a}`)
      drop('output', `oifname ${a}`)
    } else {
      // Only this hook knows both ports.
      drop('forward', `iifname ${a} oifname ${b}`)
      drop('forward', `iifname ${b} oifname ${a}`)
    }
  }
  const chains = Object.entries(rules).map(
    ([hook, lines]) => `  chain ${hook} {\n${[`type filter hook ${hook} priority 0`, ...lines].join('\n')}\n}\n`,
  )
  return `table ${table} {\n${chains.join('')}}\n`
}
