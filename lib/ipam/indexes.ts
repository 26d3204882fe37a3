// Indexes over all records, whatever subnet they are in: the addresses of a pod, and the MACs in use.
import type { AddressRecord } from './types.ts'

/** The key of a pod over its lives. */
export function podKey(namespace: string, pod: string): string {
  return `${namespace}/${pod}`
}

export class RecordIndexes {
  /** One record, or several in a set: nearly every pod has one or two. */
  readonly #byPod = new Map<string, AddressRecord | Set<AddressRecord>>()
  readonly #macs = new Map<number, number>()

  add(record: AddressRecord): void {
    if (record.pod !== '') {
      const key = podKey(record.namespace, record.pod)
      const held = this.#byPod.get(key)
      if (held === undefined) this.#byPod.set(key, record)
      else if (held instanceof Set) held.add(record)
      else if (held !== record) this.#byPod.set(key, new Set([held, record]))
    }
    if (record.mac !== 0) this.#macs.set(record.mac, (this.#macs.get(record.mac) ?? 0) + 1)
  }

  remove(record: AddressRecord): void {
    if (record.pod !== '') {
      const key = podKey(record.namespace, record.pod)
      const held = this.#byPod.get(key)
      if (held instanceof Set) {
        held.delete(record)
        if (held.size === 0) this.#byPod.delete(key)
      } else if (held === record) {
        this.#byPod.delete(key)
      }
    }
    if (record.mac !== 0) {
      const left = (this.#macs.get(record.mac) ?? 1) - 1
      if (left === 0) this.#macs.delete(record.mac)
      else this.#macs.set(record.mac, left)
    }
  }

  /** Every record under that pod's name, of any life of the pod and in any phase. */
  ofPod(namespace: string, pod: string): readonly AddressRecord[] {
    const held = this.#byPod.get(podKey(namespace, pod))
    return held === undefined ? [] : held instanceof Set ? [...held] : [held]
  }

  macInUse(mac: number): boolean {
    return this.#macs.has(mac)
  }
}
