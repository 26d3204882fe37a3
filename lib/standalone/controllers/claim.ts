// Which objects a controller owns: those that name it as their controller, and orphans its selector matches, which it
// adopts; one that its selector no longer matches it lets go (pkg/controller/controller_ref_manager.go).
import { ApiError, type KubeClient, type ResourceType } from '../../kube/index.ts'
import { isEmptySelector, type LabelSelector, selects } from './selector.ts'
import { controllerReference } from './template.ts'
import type { Meta } from './types.ts'

export interface Claimant {
  readonly resource: ResourceType
  readonly metadata: Meta
  readonly selector: LabelSelector
}

/** The uid of the controller of an object; undefined for an orphan. */
export function controllerOf({ ownerReferences }: Meta): string | undefined {
  return ownerReferences?.find((owner) => owner.controller === true)?.uid
}

/**
 * The candidates that belong to a claimant, after adopting and letting go.
 *
 * @param candidates objects of one namespace, as a cache shows them
 */
export async function claim<T extends { readonly metadata: Meta }>(
  client: KubeClient,
  { resource, metadata, selector }: Claimant,
  kind: ResourceType,
  candidates: readonly T[],
): Promise<T[]> {
  if (isEmptySelector(selector)) return []
  const own: T[] = []
  for (const candidate of candidates) {
    const { metadata: meta } = candidate
    const controller = controllerOf(meta)
    const matches = selects(selector, meta.labels)
    if (controller === metadata.uid) {
      if (matches) own.push(candidate)
      else if (metadata.deletionTimestamp === undefined) await release(client, kind, meta, metadata.uid)
    } else if (controller === undefined && matches) {
      if (metadata.deletionTimestamp !== undefined || meta.deletionTimestamp !== undefined) continue
      const ownerReferences = [...(meta.ownerReferences ?? []), controllerReference(resource, metadata)]
      if (await patchOwners(client, kind, meta, ownerReferences)) own.push(candidate)
    }
  }
  return own
}

async function release(client: KubeClient, kind: ResourceType, meta: Meta, uid: string): Promise<void> {
  const rest = (meta.ownerReferences ?? []).filter((owner) => owner.uid !== uid)
  await patchOwners(client, kind, meta, rest)
}

/** false when the object is gone, replaced or changed meanwhile: the watch brings what is there now. */
async function patchOwners(
  client: KubeClient,
  kind: ResourceType,
  { namespace, name, uid, resourceVersion }: Meta,
  ownerReferences: readonly unknown[],
): Promise<boolean> {
  try {
    await client.patch('merge', kind, { namespace, name }, { metadata: { uid, resourceVersion, ownerReferences } })
    return true
  } catch (error) {
    if (error instanceof ApiError && (error.isNotFound || error.isConflict)) return false
    throw error
  }
}
