// KubeVirt as far as its objects go: minimal definitions of its two kinds, and machines with their instances and pods.
// What virt-controller would do is done by the tests.
import {
  PODS,
  VIRTUAL_MACHINES,
  VIRTUAL_MACHINE_INSTANCES,
  apiVersionOf,
  crdName,
  type Pod,
  type ResourceType,
} from '../../lib/api/index.ts'
import type { KubeClient, KubeObject } from '../../lib/kube/index.ts'
import { eventually } from './eventually.ts'

const definitions: ResourceType = {
  group: 'apiextensions.k8s.io',
  version: 'v1',
  plural: 'customresourcedefinitions',
  kind: 'CustomResourceDefinition',
  namespaced: false,
}
const kinds = [VIRTUAL_MACHINES, VIRTUAL_MACHINE_INSTANCES]
const namespace = 'default'

/** Resolves when both kinds are served. */
export async function installKubeVirt(client: KubeClient): Promise<void> {
  for (const { group, version, plural, kind } of kinds) {
    const schema = {
      openAPIV3Schema: {
        type: 'object',
        properties: { spec: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } },
      },
    }
    const spec = {
      group,
      scope: 'Namespaced',
      names: { plural, kind, singular: kind.toLowerCase(), listKind: `${kind}List` },
      versions: [{ name: version, served: true, storage: true, schema }],
    }
    await client.create(definitions, { metadata: { name: `${plural}.${group}` }, spec })
  }
  for (const { group, version, plural } of kinds) {
    const path = `/apis/${group}/${version}/${plural}`
    await eventually(async () => (await client.raw('GET', path, { retries: 0 }), true), 20_000, 50)
  }
}

/** Takes both kinds away, and every object of them. */
export async function removeKubeVirt(client: KubeClient): Promise<void> {
  for (const kind of kinds) await client.delete(definitions, { name: crdName(kind) })
}

const controlledBy = (resource: ResourceType, owner: KubeObject): object => ({
  apiVersion: apiVersionOf(resource),
  kind: resource.kind,
  name: owner.metadata.name,
  uid: owner.metadata.uid,
  controller: true,
  blockOwnerDeletion: true,
})

export function createMachine(client: KubeClient, name: string): Promise<KubeObject> {
  return client.create<KubeObject>(VIRTUAL_MACHINES, { metadata: { name, namespace }, spec: {} })
}

/** A run of a machine, or with null an instance without one. */
export function createInstance(client: KubeClient, name: string, machine: KubeObject | null): Promise<KubeObject> {
  const owners = machine === null ? [] : [controlledBy(VIRTUAL_MACHINES, machine)]
  const metadata = { name, namespace, ownerReferences: owners }
  return client.create<KubeObject>(VIRTUAL_MACHINE_INSTANCES, { metadata, spec: {} } as never)
}

export interface LauncherOptions {
  readonly node?: string
  readonly annotations?: Readonly<Record<string, string>>
}

/** A pod of an instance, bound to a node. */
export function createLauncher(
  client: KubeClient,
  name: string,
  instance: KubeObject,
  { node = 'node1', annotations = {} }: LauncherOptions = {},
): Promise<Pod> {
  const ownerReferences = [controlledBy(VIRTUAL_MACHINE_INSTANCES, instance)]
  return client.create<never>(PODS, {
    metadata: { name, namespace, annotations, ownerReferences },
    spec: { nodeName: node, containers: [{ name: 'compute', image: 'virt-launcher' }] },
  } as never)
}
