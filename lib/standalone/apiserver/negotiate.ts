// Which representation a client asked for: the object, a Table for kubectl, or metadata only.
import { notAcceptable } from './errors.ts'

export interface Representation {
  readonly as: 'object' | 'Table' | 'PartialObjectMetadata'
  /** meta.k8s.io version of a Table or PartialObjectMetadata. */
  readonly version: 'v1' | 'v1beta1'
}

const plain: Representation = { as: 'object', version: 'v1' }

/**
 * The first representation of an Accept header that this server has.
 *
 * @throws StatusError 406 when there is none (a client that takes protobuf only)
 */
export function negotiate(accept: string | undefined): Representation {
  if (accept === undefined || accept.trim() === '') return plain
  for (const clause of accept.split(',')) {
    const [type = '', ...parameters] = clause.split(';').map((part) => part.trim())
    if (!['application/json', 'application/*', '*/*'].includes(type)) continue
    const values = new Map(parameters.map((parameter) => parameter.split('=', 2) as [string, string]))
    const as = values.get('as')
    if (as === undefined) return plain
    const version = values.get('v')
    if (values.get('g') !== 'meta.k8s.io' || (version !== 'v1' && version !== 'v1beta1')) continue
    if (as === 'Table') return { as: 'Table', version }
    if (as === 'PartialObjectMetadata' || as === 'PartialObjectMetadataList')
      return { as: 'PartialObjectMetadata', version }
  }
  throw notAcceptable(['application/json'])
}

/** Media types of an Accept header with their parameters, in order, for discovery. */
export function acceptClauses(accept: string | undefined): Map<string, string>[] {
  return (accept ?? '').split(',').map((clause) => {
    const [type = '', ...parameters] = clause.split(';').map((part) => part.trim())
    return new Map([['type', type], ...parameters.map((parameter) => parameter.split('=', 2) as [string, string])])
  })
}
