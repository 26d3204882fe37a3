// ADD: addresses, wiring, readiness. From the first link on, any failure takes everything down again (R-SRV-09), so a
// failed ADD leaves nothing and can be repeated.
import { abortable } from './deadline.ts'
import { asCniError, cniCode, CniError, dataPlaneFailure, tryAgain } from './errors.ts'
import { describeAttachment, forget, timed, type CniContext } from './context.ts'
import { hostInterfaceName } from './names.ts'
import type { CniCall } from './requests.ts'
import type { Attachment, PodAddresses, PodReference } from './types.ts'

function alreadyExists(attachment: Attachment): CniError {
  const { containerId, ifname } = attachment
  return new CniError(
    cniCode.dataPlaneFailure,
    `interface ${ifname} of container ${containerId} already exists`,
    `ADD was called before, for pod ${attachment.pod.namespace}/${attachment.pod.name}; DEL must come first`,
  )
}

/** The same container and interface must not be added twice; a record whose veth is gone is merely stale. */
async function refuseSecondAdd(context: CniContext, call: CniCall): Promise<void> {
  const known = context.store.get(call.containerId, call.ifname)
  if (known === undefined) return
  if ((await context.wiring.hostIndex(known.hostInterface)) === known.hostIndex) throw alreadyExists(known)
  await forget(context, known)
}

/** Free the host interface's name from an earlier sandbox of the same pod (R-SRV-08). */
async function makeRoom(context: CniContext, hostInterface: string, pod: PodReference): Promise<void> {
  const index = await context.wiring.hostIndex(hostInterface)
  if (index === null) return
  const holder = context.store.byHostInterface(hostInterface)
  if (holder !== undefined && holder.hostIndex === index) {
    const samePod = holder.pod.namespace === pod.namespace && holder.pod.name === pod.name
    if (!samePod) {
      throw tryAgain(`the name ${hostInterface} is taken by pod ${holder.pod.namespace}/${holder.pod.name}`)
    }
  }
  context.log.warn(
    { object: hostInterface, operation: 'replace', holder: holder?.containerId ?? null },
    'an earlier sandbox still holds the host interface of this pod; it is replaced',
  )
  await context.wiring.deleteHost(hostInterface, index)
  if (holder !== undefined) await forget(context, holder)
}

async function wire(
  context: CniContext,
  call: CniCall,
  reference: PodReference,
  pod: PodAddresses,
  hostInterface: string,
): Promise<Attachment> {
  const { netns, ifname } = call
  const request = { netns, ifname, hostInterface, pod }
  let hostIndex = await context.wiring.attach(request)
  if (hostIndex === 'name taken') {
    await makeRoom(context, hostInterface, reference)
    hostIndex = await context.wiring.attach(request)
    if (hostIndex === 'name taken') throw tryAgain(`the name ${hostInterface} was taken again by somebody else`)
  }
  const { containerId } = call
  const attachment: Attachment = {
    containerId,
    ifname,
    netns,
    hostInterface,
    hostIndex,
    pod,
    runtimeUid: reference.uid,
    createdAt: Date.now(),
  }
  try {
    await context.store.put(attachment)
  } catch (error) {
    await context.wiring.deleteHost(hostInterface, hostIndex)
    throw dataPlaneFailure('record the attachment', error)
  }
  return attachment
}

async function undo(context: CniContext, attachment: Attachment, reason: unknown): Promise<void> {
  const { hostInterface, hostIndex } = attachment
  try {
    await context.kernelJobs.run([hostInterface], true, null, async () => {
      await context.wiring.deleteHost(hostInterface, hostIndex)
      await context.store.remove(attachment)
    })
  } catch (error) {
    // The runtime follows with a DEL, which finds the record; the first error is the one to report.
    const object = describeAttachment(attachment)
    context.log.error({ err: error, reason: String(reason), object, operation: 'roll back' }, 'roll-back of ADD failed')
  }
}

/**
 * Attach a pod.
 *
 * @param signal aborts when the caller is gone, its DEL arrived, or time is up
 * @throws CniError; nothing of the attachment is left then
 */
export async function add(context: CniContext, call: CniCall, signal: AbortSignal): Promise<Attachment> {
  const { networking, kernelJobs } = context
  const reference = call.pod
  if (reference === null) throw new CniError(cniCode.invalidEnvironment, 'missing pod: ADD must name one')
  await context.wiring.checkNamespace(call.netns)
  await refuseSecondAdd(context, call)
  const pod = await timed(context, 'addresses', () =>
    abortable(networking.waitForAddresses(reference.namespace, reference.name, reference.uid, signal), signal),
  )
  await networking.beforeAttach?.(pod, signal)
  const hostInterface = hostInterfaceName(reference.namespace, reference.name, call.ifname)
  const queued = performance.now()
  const attachment = await kernelJobs.run([hostInterface], false, signal, () => {
    context.metrics?.stage('queue', performance.now() - queued)
    return timed(context, 'wiring', () => wire(context, call, reference, pod, hostInterface))
  })
  try {
    await timed(context, 'ready', () => abortable(networking.waitReady(pod, signal), signal))
    signal.throwIfAborted()
    if (context.store.get(call.containerId, call.ifname) !== attachment) {
      throw tryAgain('the interface was taken over by a newer sandbox of the pod')
    }
  } catch (error) {
    await undo(context, attachment, error)
    throw asCniError(error, (cause) => dataPlaneFailure('attach the pod', cause))
  }
  context.background('attach', () => networking.onAttached(attachment))
  return attachment
}
