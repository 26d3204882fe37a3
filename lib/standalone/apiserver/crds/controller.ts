// Keeps the registry in step with the CustomResourceDefinitions, and installs those of a folder at start.
import type { Context } from '../context.ts'
import { decode } from '../decode.ts'
import { fieldError } from '../errors.ts'
import { equal, object, text } from '../json.ts'
import { builtinResource } from '../kinds.ts'
import type { Resource, Strategy } from '../registry.ts'
import type { Json, KubeObject } from '../types.ts'
import { readDocuments } from './documents.ts'
import { create, remove } from '../write.ts'
import { defaultDefinition, definedResources, establish, validateDefinition } from './definition.ts'

const cleanup = 'customresourcecleanup.apiextensions.k8s.io'

/** Adds the kind CustomResourceDefinition to the registry; what it defines comes and goes with its objects. */
export function serveDefinitions(context: Context): Resource {
  const { registry, store } = context
  const strategy: Strategy = {
    defaults: (definition) => {
      defaultDefinition(definition)
      // The server answers for its own status: it is right at once, and nobody else's business.
      establish(definition)
    },
    prepareCreate: (definition) => {
      definition.metadata.finalizers = [...(definition.metadata.finalizers ?? []), cleanup]
    },
    validate: (definition) => {
      const errors = validateDefinition(definition)
      const taken = registry.byKind(
        `${text(definition, 'spec', 'group')}/${text(definition, 'spec', 'versions', 0, 'name')}`,
        text(definition, 'spec', 'names', 'kind'),
      )
      if (taken !== undefined && !(taken.custom && `${taken.plural}.${taken.group}` === definition.metadata.name)) {
        errors.push(
          fieldError.invalid('spec.names.kind', taken.kind, `is already served as ${taken.plural}.${taken.group}`),
        )
      }
      return errors
    },
    validateUpdate: (definition, old) =>
      ['group', 'scope'].flatMap((field) =>
        equal(object(definition, 'spec')[field], object(old, 'spec')[field])
          ? []
          : [fieldError.invalid(`spec.${field}`, object(definition, 'spec')[field], 'field is immutable')],
      ),
    changed: (definition, old) => {
      for (const resource of old === undefined ? [] : definedResources(old)) registry.remove(resource)
      for (const resource of definition === undefined ? [] : definedResources(definition)) registry.add(resource)
      if (definition?.metadata.deletionTimestamp !== undefined) setImmediate(() => finish(definition))
    },
  }
  const resource = builtinResource({
    kind: 'CustomResourceDefinition',
    in: 'apiextensions.k8s.io/v1',
    short: ['crd', 'crds'],
    categories: ['api-extensions'],
    cluster: true,
    status: true,
    generation: true,
    versioned: true,
    strategy,
  })
  registry.add(resource)

  /** Deletes the objects of a definition that is going, then lets it go. */
  function finish(definition: KubeObject): void {
    const name = definition.metadata.name ?? ''
    const current = store.get(resource.collection, name)?.object
    if (current === undefined || !(current.metadata.finalizers ?? []).includes(cleanup)) return
    for (const defined of definedResources(current).slice(0, 1)) {
      for (const [, { object: item }] of [...store.collection(defined.collection).entries()]) {
        if (item.metadata.deletionTimestamp !== undefined) continue
        remove(context, defined, item.metadata.namespace ?? '', item.metadata.name ?? '', { dryRun: false })
      }
      if (store.collection(defined.collection).size > 0) {
        // Finalizers of others hold some; the last one to go comes back here.
        const stop = store.subscribe(defined.collection, () => {
          if (store.collection(defined.collection).size > 0) return
          stop()
          setImmediate(() => finish(definition))
        })
        return
      }
    }
    const next = {
      ...current,
      metadata: {
        ...current.metadata,
        finalizers: (current.metadata.finalizers ?? []).filter((one) => one !== cleanup),
      },
    }
    if (next.metadata.finalizers.length > 0) {
      store.put(resource.collection, name, next)
      return
    }
    store.remove(resource.collection, name)
    strategy.changed?.(undefined, current)
  }
  return resource
}

/**
 * Create the definitions that are missing, of those in the `.yaml`, `.yml` and `.json` files of a folder, in the order of their names.
 *
 * @throws Error naming file and document when one is wrong or is no CustomResourceDefinition
 */
export async function loadDefinitions(context: Context, resource: Resource, directory: string): Promise<void> {
  for (const { origin, value } of await readDocuments(directory)) {
    try {
      const { object: definition } = decode(resource, value as Json, 'Ignore')
      // Of an earlier life; whoever wants another version applies it.
      if (context.store.get(resource.collection, definition.metadata.name ?? '') !== undefined) continue
      create(context, resource, '', definition, { dryRun: false, manager: 'crd-directory' })
    } catch (error) {
      throw new Error(`${origin}: ${error instanceof Error ? error.message : String(error)}`, { cause: error })
    }
  }
}
