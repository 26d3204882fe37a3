// One watch connection: events as JSON lines, bookmarks asked for, detection of a connection that is dead or silent. It
// ends when the server's time is over, with an error otherwise; reflector.ts decides how to go on.
import { RequestError, ApiError } from './errors.ts'
import { InactivityGuard } from './inactivity.ts'
import { LineSplitter } from './lines.ts'
import type { Selection } from './list.ts'
import { collectionPath, queryText } from './paths.ts'
import type { Requester } from './requester.ts'
import type { KubeObject, ResourceType, Status } from './types.ts'

export interface WatchOptions extends Selection {
  /** Events after this version; from a list or an earlier watch. */
  readonly resourceVersion: string
  /** The server ends the watch after this long. */
  readonly timeoutSeconds: number
  /**
   * No byte for this long means the connection is dead: reconnect. Must exceed the server's bookmark interval (one minute
   * in kube-apiserver) or quiet watches reconnect all the time. TCP keep-alive finds dead peers sooner, in about 25 s.
   */
  readonly inactivityMs: number
  /** How long the server may take to answer at all. */
  readonly connectTimeoutMs?: number | undefined
  readonly signal?: AbortSignal | undefined
}

export type WatchEventType = 'ADDED' | 'MODIFIED' | 'DELETED'

export interface WatchSink {
  /** The server has accepted the watch. */
  onOpen?(): void
  onEvent(type: WatchEventType, object: KubeObject): void
  /** An event of a type this library does not know; left out. */
  onUnknown?(type: string): void
  /** Nothing older than this version is still to come. */
  onBookmark?(resourceVersion: string): void
  /** All events that arrived together have been given. */
  onBatchEnd?(): void
}

export const acceptMetadata = 'application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json'

/**
 * Run one watch connection; resolves when the server ends it.
 *
 * @throws ApiError for an error status and for an ERROR event (`isGone` when the resource version is too old)
 * @throws RequestError when the connection breaks; code STALLED after silence, BADLINE for a line that is no event
 */
export async function watchStream(
  requester: Requester,
  resource: ResourceType,
  options: WatchOptions,
  sink: WatchSink,
): Promise<void> {
  const path =
    collectionPath(resource, options.namespace) +
    queryText({
      watch: true,
      allowWatchBookmarks: true,
      resourceVersion: options.resourceVersion,
      timeoutSeconds: Math.max(1, Math.round(options.timeoutSeconds)),
      labelSelector: options.labelSelector,
      fieldSelector: options.fieldSelector,
    })
  const guard = new InactivityGuard(path, options.inactivityMs, options.signal)
  try {
    await requester.call({
      method: 'GET',
      path,
      idempotent: true,
      streaming: true,
      retries: 0,
      timeoutMs: options.connectTimeoutMs ?? 30_000,
      signal: guard.signal,
      ...(options.metadataOnly ? { headers: { accept: acceptMetadata } } : {}),
      onHead: () => {
        guard.start()
        sink.onOpen?.()
      },
      consumer: () => {
        const lines = new LineSplitter((line) => dispatch(path, line, sink))
        return (chunk) => {
          guard.alive()
          try {
            lines.push(chunk)
          } catch (error) {
            if (error instanceof RangeError) throw new RequestError('GET', path, 'BADLINE', error.message, false, error)
            throw error
          } finally {
            sink.onBatchEnd?.()
          }
        }
      },
    })
  } finally {
    guard.close()
  }
}

function dispatch(path: string, line: Buffer, sink: WatchSink): void {
  let event: { type?: string; object?: KubeObject }
  try {
    event = JSON.parse(line.toString('utf8')) as typeof event
  } catch (error) {
    throw badLine(path, line, error)
  }
  const { type, object } = event
  if (typeof object !== 'object' || object === null) throw badLine(path, line)
  switch (type) {
    case 'ADDED':
    case 'MODIFIED':
    case 'DELETED':
      if (typeof object.metadata?.name !== 'string') throw badLine(path, line)
      sink.onEvent(type, object)
      return
    case 'BOOKMARK':
      if (object.metadata?.resourceVersion) sink.onBookmark?.(object.metadata.resourceVersion)
      return
    case 'ERROR': {
      const status = object as unknown as Status
      throw new ApiError('GET', path, status.code ?? 500, status, '', null)
    }
    case undefined:
      throw badLine(path, line)
    default:
      // A later API may have more types, as bookmarks once were.
      if (typeof type !== 'string') throw badLine(path, line)
      sink.onUnknown?.(type)
  }
}

function badLine(path: string, line: Buffer, cause?: unknown): RequestError {
  const start = JSON.stringify(line.subarray(0, 120).toString('latin1'))
  return new RequestError(
    'GET',
    path,
    'BADLINE',
    `a line of ${line.length} bytes is no watch event: ${start}`,
    false,
    cause,
  )
}
