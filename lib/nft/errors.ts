// What nft's messages mean. The only place that looks at their text.

/** Why nft refused, as an errno name; FAILED when its text says nothing known. */
export type NftErrorCode =
  'ENOENT' | 'EEXIST' | 'EBUSY' | 'EPERM' | 'EOPNOTSUPP' | 'EINVAL' | 'SYNTAX' | 'TIMEOUT' | 'NOT_INSTALLED' | 'FAILED'

const TEXTS: readonly (readonly [RegExp, NftErrorCode])[] = [
  [/syntax error/, 'SYNTAX'],
  [/No such file or directory|does not exist/, 'ENOENT'],
  [/File exists/, 'EEXIST'],
  [/Device or resource busy/, 'EBUSY'],
  [/Operation not permitted|Permission denied/, 'EPERM'],
  [/Operation not supported|Protocol not supported/, 'EOPNOTSUPP'],
  [/Invalid argument|interval overlaps|conflicting intervals/, 'EINVAL'],
]

export class NftError extends Error {
  override readonly name = 'NftError'
  /** "transaction", "list table inet hybridnet", ... */
  readonly operation: string
  readonly code: NftErrorCode
  /** What nft printed. */
  readonly output: string

  constructor(operation: string, output: string, code?: NftErrorCode, options?: ErrorOptions) {
    super(`nft ${operation}: ${output.trim() || 'failed without a message'}`, options)
    this.operation = operation
    this.output = output
    this.code = code ?? TEXTS.find(([pattern]) => pattern.test(output))?.[1] ?? 'FAILED'
  }
}

/** The table, chain, set or element is not there. */
export function isNotFound(error: unknown): boolean {
  return error instanceof NftError && error.code === 'ENOENT'
}

/** It is there already. */
export function isAlreadyExists(error: unknown): boolean {
  return error instanceof NftError && error.code === 'EEXIST'
}

/** This kernel or nft has no such feature. */
export function isNotSupported(error: unknown): boolean {
  return error instanceof NftError && ['EOPNOTSUPP', 'SYNTAX', 'EINVAL', 'ENOENT'].includes(error.code)
}
