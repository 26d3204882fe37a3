// /version, /api, /apis and what is below them: which groups, versions and resources there are. In the old form of one
// document for each version and in the aggregated form of two documents for everything (kubectl 1.26 and later).
import { acceptClauses } from './negotiate.ts'
import type { Registry, Resource } from './registry.ts'
import type { JsonObject } from './types.ts'

/** The version of Kubernetes whose API this is. */
export const kubernetesVersion = { major: '1', minor: '32', gitVersion: 'v1.32.0+hybridnet-standalone' } as const

export function versionInfo(): JsonObject {
  return {
    ...kubernetesVersion,
    gitCommit: '',
    gitTreeState: 'clean',
    buildDate: '1970-01-01T00:00:00Z',
    goVersion: '',
    compiler: `node ${process.version}`,
    platform: `${process.platform}/${process.arch === 'x64' ? 'amd64' : process.arch}`,
  }
}

const verbs = ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch']
/** In the order in which the real server names them for custom kinds. */
const customVerbs = ['delete', 'deletecollection', 'get', 'list', 'patch', 'create', 'update', 'watch']

function verbsOf(resource: Resource): string[] {
  if (resource.custom) return customVerbs
  // Namespaces end one by one.
  return resource.kind === 'Namespace' ? verbs.filter((verb) => verb !== 'deletecollection') : verbs
}

/** Resources without objects that answer to create only. */
interface Review {
  readonly group: string
  readonly version: string
  readonly plural: string
  readonly kind: string
}

export const reviews: readonly Review[] = [
  { group: 'authorization.k8s.io', version: 'v1', plural: 'selfsubjectaccessreviews', kind: 'SelfSubjectAccessReview' },
  { group: 'authorization.k8s.io', version: 'v1', plural: 'selfsubjectrulesreviews', kind: 'SelfSubjectRulesReview' },
  { group: 'authorization.k8s.io', version: 'v1', plural: 'subjectaccessreviews', kind: 'SubjectAccessReview' },
  { group: 'authentication.k8s.io', version: 'v1', plural: 'selfsubjectreviews', kind: 'SelfSubjectReview' },
  { group: 'authentication.k8s.io', version: 'v1', plural: 'tokenreviews', kind: 'TokenReview' },
]

function subresource(
  resource: Resource,
  name: string,
): { kind: string; group?: string; version?: string; verbs: string[] } {
  switch (name) {
    case 'binding':
      return { kind: 'Binding', verbs: ['create'] }
    case 'eviction':
      return { kind: 'Eviction', group: 'policy', version: 'v1', verbs: ['create'] }
    case 'scale':
      return { kind: 'Scale', group: 'autoscaling', version: 'v1', verbs: ['get', 'patch', 'update'] }
    case 'finalize':
      return { kind: resource.kind, verbs: ['update'] }
    default:
      return { kind: resource.kind, verbs: ['get', 'patch', 'update'] }
  }
}

/** Versions of all groups, also those that have reviews only. */
function groupsOf(registry: Registry): Map<string, string[]> {
  const groups = registry.groups()
  for (const { group, version } of reviews) {
    const versions = groups.get(group) ?? []
    if (!versions.includes(version)) versions.push(version)
    groups.set(group, versions)
  }
  return groups
}

const groupVersion = (group: string, version: string): string => (group === '' ? version : `${group}/${version}`)

function apiGroup(group: string, versions: readonly string[]): JsonObject {
  const entries = versions.map((version) => ({ groupVersion: groupVersion(group, version), version }))
  return { name: group, versions: entries, preferredVersion: entries[0] ?? {} }
}

function resourceList(registry: Registry, group: string, version: string): JsonObject | null {
  if (groupsOf(registry).get(group)?.includes(version) !== true) return null
  const resources = registry.ofVersion(group, version).flatMap((resource): JsonObject[] => [
    {
      name: resource.plural,
      singularName: resource.singular,
      namespaced: resource.namespaced,
      kind: resource.kind,
      verbs: verbsOf(resource),
      ...(resource.shortNames.length === 0 ? {} : { shortNames: [...resource.shortNames] }),
      ...(resource.categories.length === 0 ? {} : { categories: [...resource.categories] }),
      storageVersionHash: Buffer.from(resource.collection).toString('base64').slice(0, 11) + '=',
    },
    ...resource.subresources.map((name): JsonObject => {
      const { kind, group: otherGroup, version: otherVersion, verbs: allowed } = subresource(resource, name)
      return {
        name: `${resource.plural}/${name}`,
        singularName: '',
        namespaced: resource.namespaced,
        ...(otherGroup === undefined ? {} : { group: otherGroup, version: otherVersion }),
        kind,
        verbs: allowed,
      }
    }),
  ])
  for (const review of reviews) {
    if (review.group !== group || review.version !== version) continue
    resources.push({
      name: review.plural,
      singularName: review.kind.toLowerCase(),
      namespaced: false,
      kind: review.kind,
      verbs: ['create'],
    })
  }
  return { kind: 'APIResourceList', apiVersion: 'v1', groupVersion: groupVersion(group, version), resources }
}

function aggregatedResource(resource: Resource): JsonObject {
  const responseKind = { group: resource.group, version: resource.version, kind: resource.kind }
  return {
    resource: resource.plural,
    responseKind,
    scope: resource.namespaced ? 'Namespaced' : 'Cluster',
    singularResource: resource.singular,
    verbs: verbsOf(resource),
    ...(resource.shortNames.length === 0 ? {} : { shortNames: [...resource.shortNames] }),
    ...(resource.categories.length === 0 ? {} : { categories: [...resource.categories] }),
    ...(resource.subresources.length === 0
      ? {}
      : {
          subresources: resource.subresources.map((name) => {
            const { kind, group, version, verbs: allowed } = subresource(resource, name)
            return {
              subresource: name,
              responseKind: { group: group ?? resource.group, version: version ?? resource.version, kind },
              verbs: allowed,
            }
          }),
        }),
  }
}

function aggregated(registry: Registry, core: boolean, discoveryVersion: string): JsonObject {
  const items = [...groupsOf(registry)].filter(([group]) => (group === '') === core)
  return {
    kind: 'APIGroupDiscoveryList',
    apiVersion: `apidiscovery.k8s.io/${discoveryVersion}`,
    metadata: {},
    items: items.map(([group, versions]) => ({
      metadata: { name: group, creationTimestamp: null },
      versions: versions.map((version) => ({
        version,
        freshness: 'Current',
        resources: [
          ...registry.ofVersion(group, version).map(aggregatedResource),
          ...reviews
            .filter((review) => review.group === group && review.version === version)
            .map(({ plural, kind }) => ({
              resource: plural,
              responseKind: { group, version, kind },
              scope: 'Cluster',
              singularResource: kind.toLowerCase(),
              verbs: ['create'],
            })),
        ],
      })),
    })),
  }
}

/** The aggregated form a client takes first, or null when it does not ask for one. */
function aggregatedVersion(accept: string | undefined): string | null {
  for (const clause of acceptClauses(accept)) {
    if (clause.get('type') !== 'application/json') continue
    if (clause.get('as') === undefined) return null
    const version = clause.get('v') ?? ''
    if (
      clause.get('g') === 'apidiscovery.k8s.io' &&
      clause.get('as') === 'APIGroupDiscoveryList' &&
      /^v2(beta1)?$/.test(version)
    )
      return version
  }
  return null
}

export interface Document {
  readonly body: JsonObject
  readonly contentType: string
}

/** The discovery document of a path, or null when the path is none. */
export function discover(registry: Registry, path: string, accept: string | undefined): Document | null {
  const plain = (body: JsonObject | null): Document | null =>
    body === null ? null : { body, contentType: 'application/json' }
  const parts = path.split('/').filter((part) => part !== '')
  if (path === '/version' || path === '/version/') return plain(versionInfo())
  if (parts[0] !== 'api' && parts[0] !== 'apis') return null
  const core = parts[0] === 'api'
  if (parts.length === 1) {
    const version = aggregatedVersion(accept)
    if (version !== null) {
      return {
        body: aggregated(registry, core, version),
        contentType: `application/json;g=apidiscovery.k8s.io;v=${version};as=APIGroupDiscoveryList`,
      }
    }
    if (core) return plain({ kind: 'APIVersions', versions: ['v1'], serverAddressByClientCIDRs: [] })
    const groups = [...groupsOf(registry)]
      .filter(([group]) => group !== '')
      .map(([group, versions]) => apiGroup(group, versions))
    return plain({ kind: 'APIGroupList', apiVersion: 'v1', groups })
  }
  if (core) return parts.length === 2 ? plain(resourceList(registry, '', parts[1] ?? '')) : null
  const group = parts[1] ?? ''
  const versions = groupsOf(registry).get(group)
  if (versions === undefined) return null
  if (parts.length === 2) return plain({ kind: 'APIGroup', apiVersion: 'v1', ...apiGroup(group, versions) })
  return parts.length === 3 ? plain(resourceList(registry, group, parts[2] ?? '')) : null
}

/** All paths, for `kubectl get --raw /`. */
export function rootPaths(registry: Registry): JsonObject {
  const paths = ['/api', '/api/v1', '/apis']
  for (const [group, versions] of groupsOf(registry)) {
    if (group === '') continue
    paths.push(`/apis/${group}`, ...versions.map((version) => `/apis/${group}/${version}`))
  }
  return { paths: [...paths, '/healthz', '/livez', '/openapi/v2', '/openapi/v3', '/readyz', '/version'].sort() }
}
