// Paged lists: `limit` and `continue` walk one consistent snapshot of the server. Items are projected one by one while the
// response arrives (items.ts), so that neither a page nor the list is ever in memory as whole objects.
//
// A continue token dies with the snapshot (410, usually after five minutes). Then the list begins again; after
// `maxRestarts` such failures it is asked for in one piece, which cannot expire. A page in the middle that the server fails
// on is asked for again: with many pages and a few failures a list that begins again each time would never end.
//
// A page may take as long as it makes progress: big lists over slow links take minutes.
//
// An answer that is no list (no resource version, or a kind of another name: what proxies say with status 200) is an error,
// never an empty list.
import { Backoff, sleep, type BackoffOptions } from './backoff.ts'
import { RequestError, isGone, isRetryable } from './errors.ts'
import { InactivityGuard } from './inactivity.ts'
import { ItemSplitter } from './items.ts'
import { collectionPath, queryText } from './paths.ts'
import type { CallOptions, Requester } from './requester.ts'
import type { KubeObject, ResourceType } from './types.ts'

/** Which objects of a kind. */
export interface Selection {
  /** One namespace; all when null or absent. */
  readonly namespace?: string | null | undefined
  readonly labelSelector?: string | undefined
  readonly fieldSelector?: string | undefined
  /** Ask for `metadata` only (PartialObjectMetadata): the server leaves spec, status and data out. */
  readonly metadataOnly?: boolean | undefined
}

export interface ListOptions<T> extends Selection, CallOptions {
  /** Objects a page; 500 unless given. 0 asks for everything in one response. */
  readonly pageSize?: number | undefined
  /**
   * Absent: the newest state, by quorum read (what allocation must be built on). '0': any cached state.
   */
  readonly resourceVersion?: string | undefined
  readonly resourceVersionMatch?: 'Exact' | 'NotOlderThan' | undefined
  /** What to keep of an object; null leaves it out. Objects whole unless given. */
  readonly project?: ((raw: KubeObject) => T | null) | undefined
  /** Expired continue tokens to bear before asking for the list in one piece. */
  readonly maxRestarts?: number | undefined
  readonly restartBackoff?: BackoffOptions | undefined
  /** Silence that means a dead connection; 60 s. Waiting for the rate limit or for a retry is none. */
  readonly inactivityMs?: number | undefined
}

export interface Page<T> {
  readonly items: T[]
  /** Of the snapshot; a watch may start from that of the last page. */
  readonly resourceVersion: string
  /** Objects still to come, when the server says so. */
  readonly remaining: number | null
  /** The list began again: what earlier pages gave is void. */
  readonly restarted: boolean
}

const acceptMetadataList = 'application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json'
/** Silence after the request, or in the middle of a page, that means a dead connection. */
const longestSilenceMs = 60_000
/** Longest time a page may take even when it makes progress; the longest a server keeps a snapshot is shorter. */
const longestPageMs = 900_000
/** Failures of one page in the middle before the list is given up. */
const maxPageFailures = 5

interface ListEnvelope {
  kind?: string
  items?: KubeObject[] | null
  metadata?: { resourceVersion?: string; continue?: string; remainingItemCount?: number }
}

export async function* listPages<T>(
  requester: Requester,
  resource: ResourceType,
  options: ListOptions<T>,
): AsyncGenerator<Page<T>, void, undefined> {
  const backoff = new Backoff({ baseMs: 200, maxMs: 5000, ...options.restartBackoff })
  const maxRestarts = options.maxRestarts ?? 3
  let restarts = 0
  let restarted = false
  let token = ''
  let failures = 0
  for (;;) {
    let page: { items: T[]; envelope: ListEnvelope }
    try {
      page = await onePage(requester, resource, options, token, restarts > maxRestarts ? 0 : (options.pageSize ?? 500))
    } catch (error) {
      // Without a token it is the asked-for resourceVersion that is too old: beginning again would not help.
      if (token === '') throw error
      if (isRetryable(error) && options.retries !== 0 && ++failures < maxPageFailures) {
        await sleep(backoff.next(), options.signal)
        continue
      }
      if (!isGone(error)) throw error
      restarts++
      restarted = true
      token = ''
      await sleep(backoff.next(), options.signal)
      continue
    }
    const { metadata, last } = { metadata: page.envelope.metadata ?? {}, last: token }
    token = metadata.continue ?? ''
    failures = 0
    yield {
      items: page.items,
      resourceVersion: metadata.resourceVersion ?? '',
      remaining: metadata.remainingItemCount ?? null,
      restarted,
    }
    restarted = false
    if (token === '') return
    if (token === last) {
      const path = collectionPath(resource, options.namespace)
      throw new RequestError('GET', path, 'BADBODY', 'the list does not go on: the same continue token twice', true)
    }
  }
}

async function onePage<T>(
  requester: Requester,
  resource: ResourceType,
  options: ListOptions<T>,
  token: string,
  limit: number,
): Promise<{ items: T[]; envelope: ListEnvelope }> {
  const path =
    collectionPath(resource, options.namespace) +
    queryText({
      limit: limit > 0 ? limit : null,
      continue: token,
      labelSelector: options.labelSelector,
      fieldSelector: options.fieldSelector,
      // A continue token fixes the snapshot; the server refuses both together.
      resourceVersion: token === '' ? options.resourceVersion : null,
      resourceVersionMatch: token === '' ? options.resourceVersionMatch : null,
    })
  let items: T[] = []
  let splitter: ItemSplitter | null = null
  const take = (raw: KubeObject): void => {
    const item = options.project ? options.project(raw) : (raw as unknown as T)
    if (item !== null) items.push(item)
  }
  const guard = new InactivityGuard(path, options.inactivityMs ?? longestSilenceMs, options.signal)
  try {
    await requester.call({
      method: 'GET',
      path,
      idempotent: true,
      timeoutMs: options.timeoutMs ?? longestPageMs,
      signal: guard.signal,
      retries: options.retries,
      unlimited: options.unlimited,
      ...(options.metadataOnly ? { headers: { accept: acceptMetadataList } } : {}),
      onRetry: () => guard.pause(),
      consumer: () => {
        guard.start()
        items = []
        const current = new ItemSplitter((item) => take(item as KubeObject))
        splitter = current
        return (chunk) => {
          guard.alive()
          try {
            current.push(chunk)
          } catch (error) {
            throw badList(path, error)
          }
        }
      },
    })
  } finally {
    guard.close()
  }
  const envelope = finish(path, splitter)
  // Members whose name is written with escapes stay in the envelope.
  for (const raw of envelope.items ?? []) take(raw)
  return { items, envelope }
}

function finish(path: string, splitter: ItemSplitter | null): ListEnvelope {
  let envelope: ListEnvelope
  try {
    envelope = splitter?.finish() ?? {}
  } catch (error) {
    throw badList(path, error)
  }
  const { kind, metadata, items } = envelope
  const strange = (kind !== undefined && !kind.endsWith('List')) || !Array.isArray(items ?? [])
  if (strange || !metadata?.resourceVersion) {
    const what = `kind '${kind ?? ''}', metadata ${JSON.stringify(metadata ?? null).slice(0, 100)}`
    throw new RequestError('GET', path, 'BADBODY', `the answer is no list: ${what}`, true)
  }
  return envelope
}

/** Only the scanner's and parser's errors are the body's; what a projection throws is the caller's. */
function badList(path: string, error: unknown): unknown {
  if (!(error instanceof SyntaxError)) return error
  return new RequestError('GET', path, 'BADBODY', `the list is not JSON: ${error.message}`, true, error)
}
