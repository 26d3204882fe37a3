// `hybridnet install-crds`: our CustomResourceDefinitions by server-side apply. Helm creates what is in a chart's `crds` once and
// never looks at it again; the chart runs this before the manager starts (R-CHT-08).
import { KubeClient, type KubeObject, type ResourceType } from '../kube/index.ts'
import { readDocuments } from '../standalone/apiserver/crds/documents.ts'
import { crdDirectory } from '../standalone/project.ts'
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

async function definitionsOf(directory: string): Promise<readonly Definition[]> {
  const documents = await readDocuments(directory)
  if (documents.length === 0) throw new UsageError(`--directory ${directory}: no definition in it`)
  return documents.map(({ origin, value }) => {
    const { kind } = value as Partial<Definition>
    if (kind !== DEFINITIONS.kind) throw new UsageError(`${origin}: kind '${kind ?? ''}', expected ${DEFINITIONS.kind}`)
    return value as Definition
  })
}

/** @returns the exit status */
export async function run(argv: string[]): Promise<number> {
  const { values, positionals, help } = parseFlags(flags, argv)
  if (help) {
    process.stdout.write(helpText('hybridnet install-crds [FLAGS]', description, flags))
    return 0
  }
  if (positionals.length > 0) throw new UsageError(`unexpected argument '${positionals[0] ?? ''}'`)
  const definitions = await definitionsOf(values.directory === '' ? crdDirectory() : values.directory)
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
