// What a pod or a namespace asks for, as written (api.md §3.1): annotation first, then the label of the same key; the
// family by annotation only.
import { ANNOTATION_IP_FAMILY, NETWORK_TYPE, SPECIFIED_NETWORK, SPECIFIED_SUBNET } from './labels.ts'
import { annotationOf, annotationOrLabel, type KubeObject } from './meta.ts'

export interface Wishes {
  readonly network: string
  /** "name" or "v4name/v6name". */
  readonly subnet: string
  readonly type: string
  readonly family: string
}

export function wishesOf(object: KubeObject): Wishes {
  return {
    network: annotationOrLabel(object, SPECIFIED_NETWORK),
    subnet: annotationOrLabel(object, SPECIFIED_SUBNET),
    type: annotationOrLabel(object, NETWORK_TYPE),
    family: annotationOf(object, ANNOTATION_IP_FAMILY),
  }
}

/** Nothing is asked for. */
export function wishesNothing(wishes: Wishes): boolean {
  return wishes.network === '' && wishes.subnet === '' && wishes.type === '' && wishes.family === ''
}
