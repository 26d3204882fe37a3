// The Kubernetes client library: transport, paged lists, watches, informers with indexed stores, work queue, leader
// election, events and patches, on node:http(s). The model is client-go's and controller-runtime's.
//
// It knows no kinds but Lease and Event, does no caching besides informers, speaks JSON only (no protobuf), HTTP/1.1 only,
// and has no exec, attach, port-forward or log streaming.
export { longLivedAbort } from './abort.ts'
export { Backoff, exponential, jittered, sleep, yieldToLoop, type BackoffOptions } from './backoff.ts'
export {
  KubeClient,
  type ApplyOptions,
  type ClientOptions,
  type DeleteOptions,
  type GetOptions,
  type LoadOptions,
  type ObjectList,
  type PatchType,
  type RawOptions,
  type WriteOptions,
} from './client.ts'
export { directConnection, type ConnectionSource, type DirectConnection, type TlsSettings } from './connection.ts'
export { LeaderElector, leaseResource, type LeaderElectorOptions, type Lease, type LeaseSpec } from './elector.ts'
export {
  ApiError,
  FencedError,
  RequestError,
  errorText,
  isAlreadyExists,
  isConflict,
  isForbidden,
  isGone,
  isInvalid,
  isNotFound,
  isRetryable,
} from './errors.ts'
export {
  EventRecorder,
  eventResource,
  involvedObject,
  type EventRecorderHealth,
  type EventRecorderOptions,
  type InvolvedObject,
} from './events.ts'
export { inCluster } from './incluster.ts'
export { Informer, type InformerEvent, type InformerHealth, type InformerOptions } from './informer.ts'
export type { ListOptions, Page, Selection } from './list.ts'
export { applyMergePatch, deepEqual, mergePatchBetween } from './patch.ts'
export { WorkQueue, type WorkQueueHealth, type WorkQueueOptions } from './queue.ts'
export { Reflector, type ReflectorHealth, type ReflectorOptions, type ReflectorSink } from './reflector.ts'
export type { CallOptions, Fence } from './requester.ts'
export { retryOnConflict, type RetryOnConflictOptions } from './retry.ts'
export { MutableStore, type Entry, type IndexFunction, type Store } from './store.ts'
export {
  apiVersionOf,
  objectKey,
  parseKey,
  type KubeObject,
  type ObjectMeta,
  type ObjectRef,
  type OwnerReference,
  type ResourceType,
  type Status,
  type Writable,
} from './types.ts'
export type { Answer, Carrier, Exchange } from './transport.ts'
export type { WatchEventType, WatchOptions, WatchSink } from './watch.ts'
