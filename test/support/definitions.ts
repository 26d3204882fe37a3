// This project's CustomResourceDefinitions, put into any API server the way a chart's install does.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'yaml'
import { type KubeClient, type KubeObject, type ResourceType } from '../../lib/kube/index.ts'
import { crdDirectory } from '../../lib/standalone/project.ts'
import { eventually } from './eventually.ts'

const definitions: ResourceType = {
  group: 'apiextensions.k8s.io',
  version: 'v1',
  plural: 'customresourcedefinitions',
  kind: 'CustomResourceDefinition',
  namespaced: false,
}

interface Definition extends KubeObject {
  readonly spec: {
    readonly group: string
    readonly names: { readonly plural: string }
    readonly versions: readonly { readonly name: string }[]
  }
}

/** Create the definitions of the chart; returns when objects of all of them are served. @throws when not within `timeoutMs` */
export async function installDefinitions(client: KubeClient, timeoutMs: number): Promise<void> {
  const directory = crdDirectory()
  const files = readdirSync(directory).filter((file) => file.endsWith('.yaml'))
  const parsed = files.map((file) => parse(readFileSync(join(directory, file), 'utf8')) as Definition)
  await Promise.all(parsed.map((definition) => client.create(definitions, definition)))
  for (const { spec } of parsed) {
    for (const { name } of spec.versions) {
      const path = `/apis/${spec.group}/${name}/${spec.names.plural}`
      await eventually(async () => (await client.raw('GET', path, { retries: 0 }), true), timeoutMs, 50)
    }
  }
}
