// Taints of nodes and the tolerations of pods, by the rules of core/v1.

export interface Taint {
  readonly key: string
  readonly value?: string
  readonly effect: string
  /** Of NoExecute taints: since when, RFC 3339. */
  readonly timeAdded?: string
}

export interface Toleration {
  readonly key?: string
  readonly operator?: string
  readonly value?: string
  readonly effect?: string
  /** How long a NoExecute taint is tolerated; for ever when absent. */
  readonly tolerationSeconds?: number
}

/** Those of some tolerations that tolerate a taint (`Toleration.ToleratesTaint`). */
export function tolerating(tolerations: readonly Toleration[], taint: Taint): Toleration[] {
  return tolerations.filter((toleration) => {
    if (toleration.effect !== undefined && toleration.effect !== '' && toleration.effect !== taint.effect) return false
    const anyKey = toleration.key === undefined || toleration.key === ''
    if (!anyKey && toleration.key !== taint.key) return false
    if (toleration.operator === 'Exists') return true
    return !anyKey && (toleration.value ?? '') === (taint.value ?? '')
  })
}
