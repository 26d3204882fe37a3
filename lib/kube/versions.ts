// Resource versions are opaque in general, but kube-apiserver's are decimal numbers of one counter, which clients may
// compare since Kubernetes 1.35 (KEP-5504) and could in fact always. Pure.

const decimal = /^[1-9][0-9]*$/

/** Which version is older: below 0 when `a` is. null when they are not both decimal numbers, hence not comparable. */
export function compareVersions(a: string, b: string): number | null {
  if (!decimal.test(a) || !decimal.test(b)) return null
  if (a.length !== b.length) return a.length - b.length
  return a < b ? -1 : a > b ? 1 : 0
}

/** Whether both are comparable and `a` is the older one. */
export function isOlder(a: string, b: string): boolean {
  const order = compareVersions(a, b)
  return order !== null && order < 0
}
