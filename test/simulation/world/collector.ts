// The garbage collector of kube-controller-manager: deletes what has owners none of which exists any more, sometime later.
import type { KubeObject } from '../../../lib/kube/index.ts'
import { objectKey } from '../../../lib/kube/index.ts'
import type { Dice } from '../engine/dice.ts'
import type { Scheduler } from '../engine/scheduler.ts'
import type { Api } from '../server/api.ts'
import type { Change } from '../server/store.ts'

const OWNERS: Readonly<Record<string, string>> = { Pod: 'pods', StatefulSet: 'statefulsets' }
const OWNED = ['pods', 'ipinstances']

export class Collector {
  readonly #api: Api
  readonly #scheduler: Scheduler
  readonly #dice: Dice

  constructor(api: Api, scheduler: Scheduler, dice: Dice) {
    this.#api = api
    this.#scheduler = scheduler
    this.#dice = dice
    api.store.onChange((change) => this.#changed(change))
  }

  #changed({ kind, type, key, shown, before }: Change): void {
    if (type === 'DELETED' && Object.values(OWNERS).includes(kind)) {
      const uid = before?.object.metadata.uid
      for (const owned of OWNED) {
        for (const object of this.#api.store.list(owned)) {
          const owns = object.metadata.ownerReferences?.some((owner) => owner.uid === uid) ?? false
          if (owns) this.#look(owned, objectKey(object.metadata))
        }
      }
    }
    // One that is born, or given away, after its owner has died.
    if (type !== 'DELETED' && OWNED.includes(kind) && this.#isOrphan(shown.object)) this.#look(kind, key)
  }

  #look(kind: string, key: string): void {
    this.#scheduler.after(this.#dice.between(10, 3000), null, () => {
      const object = this.#api.store.get(kind, key)
      if (object === undefined || object.metadata.deletionTimestamp !== undefined || !this.#isOrphan(object)) return
      this.#api.delete(kind, key, { uid: object.metadata.uid }, 'garbage-collector')
    })
  }

  #isOrphan(object: KubeObject): boolean {
    const owners = object.metadata.ownerReferences ?? []
    const { namespace = '' } = object.metadata
    return (
      owners.length > 0 &&
      owners.every(({ kind, name, uid }) => {
        const owner = this.#api.store.get(OWNERS[kind] ?? '', `${namespace}/${name}`)
        return owner?.metadata.uid !== uid
      })
    )
  }
}
