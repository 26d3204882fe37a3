// `hybridnet install-crds`: our CustomResourceDefinitions by server-side apply. Helm creates what is in a chart's `crds` once and
// never looks at it again; the chart runs this before the manager starts (R-CHT-08).
import { existsSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseAllDocuments } from 'yaml'
import { KubeClient, type KubeObject, type ResourceType } from '../kube/index.ts'
import { createLogger } from '../telemetry/log.ts'
import { helpText, parseFlags, stringFlag, UsageError } from './flags.ts'

const description = `
Creates the CustomResourceDefinitions of this version, or brings those of another version to it, by server-side apply. Stored
objects stay valid: fields are only ever added. Needs get, create and patch on customresourcedefinitions.
`

const flags = {
  kubeconfig: stringFlag('', 'PATH', 'kubeconfig file; KUBECONFIG, then the service account, when empty'),
  directory: stringFlag('', 'DIRECTORY', 'YAML files of definitions; empty: those of this package'),
  'log-level': stringFlag('info', 'LEVEL', 'trace, debug, info, warn or error'),
}

const DEFINITIONS: ResourceType = {
  group: 'apiextensions.k8s.io',
  version: 'v1',
  plural: 'customresourcedefinitions',
  kind: 'CustomResourceDefinition',
  namespaced: false,
}

type Definition = KubeObject & { readonly apiVersion: string; readonly kind: string }

/** charts/hybridnet/crds in the nearest folder above (sources and bundle alike). */
function ownDirectory(): string {
  const start = dirname(fileURLToPath(import.meta.url))
  for (let folder = start; ; folder = dirname(folder)) {
    const candidate = join(folder, 'charts/hybridnet/crds')
    if (existsSync(candidate)) return candidate
    if (folder === dirname(folder)) throw new UsageError(`no charts/hybridnet/crds above ${start}; name a --directory`)
  }
}

async function definitionsOf(directory: string): Promise<readonly Definition[]> {
  const files = (await readdir(directory)).filter((name) => /\.ya?ml$/.test(name)).sort()
  if (files.length === 0) throw new UsageError(`--directory ${directory}: no .yaml file`)
  const texts = await Promise.all(files.map((name) => readFile(join(directory, name), 'utf8')))
  return texts.flatMap((text, index) =>
    parseAllDocuments(text).map((document) => {
      const object = document.toJS() as Definition | null
      if (document.errors.length > 0 || object?.kind !== DEFINITIONS.kind) {
        const found = document.errors[0]?.message ?? `kind '${object?.kind ?? ''}'`
        throw new UsageError(`${join(directory, files[index] ?? '')}: ${found}, expected a ${DEFINITIONS.kind}`)
      }
      return object
    }),
  )
}

/** @returns the exit status */
export async function run(argv: string[]): Promise<number> {
  const { values, positionals, help } = parseFlags(flags, argv)
  if (help) {
    process.stdout.write(helpText('hybridnet install-crds [FLAGS]', description, flags))
    return 0
  }
  if (positionals.length > 0) throw new UsageError(`unexpected argument '${positionals[0] ?? ''}'`)
  const definitions = await definitionsOf(values.directory === '' ? ownDirectory() : values.directory)
  const logger = createLogger({ name: 'hybridnet-install-crds', level: values['log-level'] })
  const client = await KubeClient.load({ kubeconfig: values.kubeconfig, userAgent: 'hybridnet-install-crds/1', logger })
  try {
    for (const definition of definitions) {
      // Those Helm or kubectl created are taken over: nobody else changes them.
      await client.apply(DEFINITIONS, definition, { fieldManager: 'hybridnet', force: true })
      process.stdout.write(`${definition.metadata.name ?? ''} applied\n`)
    }
    return 0
  } finally {
    client.close()
  }
}
