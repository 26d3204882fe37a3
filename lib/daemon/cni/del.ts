// DEL: idempotent, and careful. It succeeds when there is nothing (left) to remove: no namespace, no interface, no record.
// It removes only what belongs to the sandbox it was called for, so that a late DEL of an old sandbox never touches a newer
// one of the same pod name (R-SRV-13).
import { forget, type CniContext } from './context.ts'
import { hostInterfaceName } from './names.ts'
import type { CniCall } from './requests.ts'
import type { Attachment } from './types.ts'

/**
 * Remove what a record describes. The namespace is not needed: deleting the node's end deletes the pod's end, its
 * addresses and every route through either.
 *
 * @throws CniError 103
 */
export async function detach(context: CniContext, attachment: Attachment): Promise<void> {
  await context.kernelJobs.run([attachment.hostInterface], true, null, async () => {
    await context.wiring.deleteHost(attachment.hostInterface, attachment.hostIndex)
    await forget(context, attachment)
  })
}

/** @throws CniError 103 when the kernel refuses */
export async function del(context: CniContext, call: CniCall): Promise<void> {
  const attachment = context.store.get(call.containerId, call.ifname)
  if (attachment !== undefined) {
    await detach(context, attachment)
    return
  }
  // Without a record (an earlier daemon, a lost state directory) the namespace is the only witness.
  if (call.netns === '') return
  const { pod, ifname, netns } = call
  const key = pod === null ? `${call.containerId}:${ifname}` : hostInterfaceName(pod.namespace, pod.name, ifname)
  await context.kernelJobs.run([key], true, null, () =>
    context.wiring.deletePodSide(netns, ifname, (host) => {
      const holder = context.store.byHostInterface(host.name)
      return holder === undefined || holder.hostIndex !== host.index
    }),
  )
}
