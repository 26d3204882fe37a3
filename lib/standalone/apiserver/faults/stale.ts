// Which version a lagging replica may answer a read from. Pure.
//
// From the API's concepts page, "Resource versions": a read without a version is of the newest state; with "0" it may be of
// any; with a version it may be of any that is not older (a list with a limit: exactly that one, unless it asks for
// NotOlderThan). A watch from a version starts exactly there, however far behind the replica is; one that begins with all
// objects follows the same rules as a list.
import { flag } from '../request.ts'

/**
 * @param newest version of the store
 * @param oldest the oldest version that can be served
 * @param behind changes the replica lags
 * @returns null when the read may not be stale
 */
export function staleVersion(
  verb: string,
  query: URLSearchParams,
  { newest, oldest, behind }: { readonly newest: number; readonly oldest: number; readonly behind: number },
): number | null {
  const asked = query.get('resourceVersion') ?? ''
  if (!/^\d{1,15}$/.test(asked)) return null
  const version = Number(asked)
  const match = query.get('resourceVersionMatch') ?? ''
  if (verb === 'list') {
    const exact = match === 'Exact' || (match === '' && version > 0 && (query.get('limit') ?? '0') !== '0')
    if (exact || (query.get('continue') ?? '') !== '') return null
  } else if (verb === 'watch') {
    if (version > 0 && !flag(query, 'sendInitialEvents')) return null
  } else if (verb !== 'get') return null
  const served = Math.max(1, oldest, version, newest - behind)
  return served < newest ? served : null
}
