// The CustomResourceDefinitions against tables written from api.md §1: names, printer columns in order, every field with
// its type, format and whether it is required. Objects stored by the original must stay valid, so nothing may be stricter.
import { readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { parse } from 'yaml'
import { crdName, OWN_RESOURCES } from '../../../lib/api/index.ts'

interface Schema {
  type: string
  description?: string
  format?: string
  nullable?: boolean
  required?: string[]
  properties?: Record<string, Schema>
  items?: Schema
  additionalProperties?: Schema
  [key: string]: unknown
}

interface Crd {
  apiVersion: string
  kind: string
  metadata: { name: string }
  spec: {
    group: string
    scope: string
    names: Record<string, unknown>
    conversion?: unknown
    versions: {
      name: string
      served: boolean
      storage: boolean
      subresources: Record<string, object>
      additionalPrinterColumns: { name: string; type: string; jsonPath: string }[]
      schema: { openAPIV3Schema: Schema }
    }[]
  }
}

const folder = resolve(import.meta.dirname, '../../../charts/hybridnet/crds')
const crds = new Map(
  readdirSync(folder).map((file) => {
    const crd = parse(readFileSync(join(folder, file), 'utf8')) as Crd
    return [crd.metadata.name, crd] as const
  }),
)
const crdOf = (name: string): Crd => {
  const crd = crds.get(name)
  assert.ok(crd, `${name} is in ${folder}`)
  return crd
}

/** One line per field below spec and status: `path type[:format]`, `!` required, `?` nullable. */
function fieldsOf(schema: Schema): string[] {
  const lines: string[] = []
  const walk = (node: Schema, path: string, mark: string): void => {
    const format = node.format === undefined ? '' : `:${node.format}`
    if (path.includes('.') || path === 'spec' || path === 'status') {
      lines.push(`${path} ${node.type}${format}${mark}${node.nullable === true ? '?' : ''}`)
    }
    for (const [name, child] of Object.entries(node.properties ?? {})) {
      if (path === '' && !['spec', 'status'].includes(name)) continue
      walk(child, path === '' ? name : `${path}.${name}`, node.required?.includes(name) ? '!' : '')
    }
    if (node.items) walk(node.items, `${path}[]`, '')
    if (node.additionalProperties) walk(node.additionalProperties, `${path}{}`, '')
  }
  walk(schema, '', '')
  return lines.sort()
}

const columns = (text: string): string[] =>
  text
    .trim()
    .split('\n')
    .map((line) => line.trim())
const count = (path: string): string =>
  `${path} object\n${path}.total int32\n${path}.used int32\n${path}.available int32`
const range = `spec.range object!
  spec.range.version string!
  spec.range.cidr string!
  spec.range.start string
  spec.range.end string
  spec.range.gateway string
  spec.range.reservedIPs string[]
  spec.range.excludeIPs string[]`

/** From api.md §1.1 to §1.8, and `held` of IPInstances, which is ours. `int32` and `T[]` are shorthands. */
const tables: Readonly<
  Record<string, { scope: string; kind: string; singular: string; columns: string; fields: string }>
> = {
  'networks.networking.alibaba.com': {
    scope: 'Cluster',
    kind: 'Network',
    singular: 'network',
    columns: `NetID integer .spec.netID
      Type string .spec.type
      Mode string .spec.mode
      V4Total integer .status.statistics.total
      V4Used integer .status.statistics.used
      V4Available integer .status.statistics.available
      LastAllocatedV4Subnet string .status.lastAllocatedSubnet
      V6Total integer .status.ipv6Statistics.total
      V6Used integer .status.ipv6Statistics.used
      V6Available integer .status.ipv6Statistics.available
      LastAllocatedV6Subnet string .status.lastAllocatedIPv6Subnet`,
    fields: `spec object
      spec.type string
      spec.mode string
      spec.netID int32?
      spec.nodeSelector object
      spec.nodeSelector{} string
      spec.config object
      spec.config.bgpPeers object[]
      spec.config.bgpPeers[].asn int32!
      spec.config.bgpPeers[].address string!
      spec.config.bgpPeers[].gracefulRestartSeconds int32
      spec.config.bgpPeers[].password string
      spec.config.bgpPeers[].doesNotRouteTraffic boolean
      spec.config.bgpPeers[].allowNotEstablished boolean
      status object
      status.nodeList string[]
      status.subnetList string[]
      status.lastAllocatedSubnet string
      status.lastAllocatedIPv6Subnet string
      ${count('status.statistics')}
      ${count('status.ipv6Statistics')}
      ${count('status.dualStackStatistics')}`,
  },
  'subnets.networking.alibaba.com': {
    scope: 'Cluster',
    kind: 'Subnet',
    singular: 'subnet',
    columns: `Version string .spec.range.version
      CIDR string .spec.range.cidr
      Start string .spec.range.start
      End string .spec.range.end
      Gateway string .spec.range.gateway
      Total integer .status.total
      Used integer .status.used
      Available integer .status.available
      NetID integer .spec.netID
      Network string .spec.network`,
    fields: `spec object
      spec.network string!
      spec.netID int32?
      ${range}
      spec.config object
      spec.config.private boolean?
      spec.config.autoNatOutgoing boolean?
      spec.config.gatewayType string
      spec.config.gatewayNode string
      spec.config.allowSubnets string[]
      status object
      status.total int32
      status.used int32
      status.available int32
      status.lastAllocatedIP string`,
  },
  'ipinstances.networking.alibaba.com': {
    scope: 'Namespaced',
    kind: 'IPInstance',
    singular: 'ipinstance',
    columns: `IP string .spec.address.ip
      Gateway string .spec.address.gateway
      PodName string .spec.binding.podName
      Node string .spec.binding.nodeName
      Subnet string .spec.subnet
      Network string .spec.network
      Held string .spec.binding.held`,
    fields: `spec object
      spec.network string!
      spec.subnet string!
      spec.address object!
      spec.address.version string!
      spec.address.ip string!
      spec.address.gateway string
      spec.address.netID int32?
      spec.address.mac string!
      spec.binding object
      spec.binding.referredObject object
      spec.binding.referredObject.kind string
      spec.binding.referredObject.name string
      spec.binding.referredObject.uid string
      spec.binding.nodeName string
      spec.binding.podUID string
      spec.binding.podName string
      spec.binding.stateful object
      spec.binding.stateful.index int32
      spec.binding.held string
      status object
      status.nodeName string
      status.podName string
      status.podNamespace string
      status.sandboxID string
      status.updateTimestamp string:date-time`,
  },
  'nodeinfoes.networking.alibaba.com': {
    scope: 'Cluster',
    kind: 'NodeInfo',
    singular: 'nodeinfo',
    columns: `VTEPIP string .spec.vtepInfo.ip
      VTEPMAC string .spec.vtepInfo.mac
      VTEPLOCALIPS string .spec.vtepInfo.localIPs`,
    fields: `spec object
      spec.vtepInfo object
      spec.vtepInfo.ip string
      spec.vtepInfo.mac string
      spec.vtepInfo.localIPs string[]
      status object
      status.updateTimestamp string:date-time`,
  },
  'remoteclusters.multicluster.alibaba.com': {
    scope: 'Cluster',
    kind: 'RemoteCluster',
    singular: 'remotecluster',
    columns: `APIEndpoint string .spec.apiEndpoint
      UUID string .status.uuid
      State string .status.state`,
    fields: `spec object
      spec.apiEndpoint string!
      spec.caData string:byte
      spec.certData string:byte
      spec.keyData string:byte
      spec.timeout int32
      status object
      status.uuid string
      status.state string
      status.conditions object[]
      status.conditions[].type string!
      status.conditions[].status string!
      status.conditions[].reason string!
      status.conditions[].message string!
      status.conditions[].lastTransitionTime string:date-time!
      status.conditions[].observedGeneration integer:int64`,
  },
  'remotesubnets.multicluster.alibaba.com': {
    scope: 'Cluster',
    kind: 'RemoteSubnet',
    singular: 'remotesubnet',
    columns: `Version string .spec.range.version
      CIDR string .spec.range.cidr
      Start string .spec.range.start
      End string .spec.range.end
      Gateway string .spec.range.gateway
      NetworkType string .spec.networkType
      ClusterName string .spec.clusterName
      LastModifyTime date .status.lastModifyTime`,
    fields: `spec object
      ${range}
      spec.networkType string
      spec.clusterName string
      status object
      status.lastModifyTime string:date-time`,
  },
  'remotevteps.multicluster.alibaba.com': {
    scope: 'Cluster',
    kind: 'RemoteVtep',
    singular: 'remotevtep',
    columns: `MAC string .spec.mac
      IP string .spec.ip
      NodeName string .spec.nodeName
      ClusterName string .spec.clusterName
      LastModifyTime date .status.lastModifyTime`,
    fields: `spec object
      spec.clusterName string
      spec.nodeName string
      spec.ip string
      spec.mac string
      spec.localIPs string[]
      spec.endpointIPList string[]
      status object
      status.lastModifyTime string:date-time`,
  },
  'remoteendpointslice.multicluster.alibaba.com': {
    scope: 'Cluster',
    kind: 'RemoteEndpointSlice',
    singular: 'remoteendpointslice',
    columns: `Service string .spec.remoteService.name
      Namespace string .spec.remoteService.namespace
      AddressType string .spec.addressType
      Cluster string .spec.remoteService.cluster`,
    fields: `spec object
      spec.remoteService object!
      spec.remoteService.cluster string!
      spec.remoteService.name string!
      spec.remoteService.namespace string!
      spec.addressType string!
      spec.endpoints object[]
      spec.endpoints[].addresses string[]!
      spec.endpoints[].conditions object
      spec.endpoints[].conditions.ready boolean
      spec.endpoints[].conditions.serving boolean
      spec.endpoints[].conditions.terminating boolean
      spec.endpoints[].hints object
      spec.endpoints[].hints.forZones object[]
      spec.endpoints[].hints.forZones[].name string!
      spec.endpoints[].hostname string
      spec.endpoints[].nodeName string
      spec.endpoints[].targetRef object
      spec.endpoints[].targetRef.apiVersion string
      spec.endpoints[].targetRef.fieldPath string
      spec.endpoints[].targetRef.kind string
      spec.endpoints[].targetRef.name string
      spec.endpoints[].targetRef.namespace string
      spec.endpoints[].targetRef.resourceVersion string
      spec.endpoints[].targetRef.uid string
      spec.endpoints[].topology object
      spec.endpoints[].topology{} string
      spec.ports object[]
      spec.ports[].appProtocol string
      spec.ports[].name string
      spec.ports[].port int32
      spec.ports[].protocol string
      status object
      status.lastModifyTime string:date-time`,
  },
}

/** `path T[]!` becomes the lines of the array and of its items. */
function expand(table: string): string[] {
  return columns(table)
    .flatMap((line) => {
      const match = /^(\S+) (\w+)(\[\])?(:\S+?)?([!?]*)$/.exec(line)
      assert.ok(match, line)
      const [, path, type, list, format, marks] = match
      const full = type === 'int32' ? 'integer:int32' : `${type}${format ?? ''}`
      return list ? [`${path} array${marks}`, `${path}[] ${full}`] : [`${path} ${full}${marks}`]
    })
    .sort()
}

test('§1.0 there is one file for each kind of lib/api, and no other', () => {
  assert.equal([...crds.keys()].sort(), OWN_RESOURCES.map(crdName).sort())
  assert.equal(Object.keys(tables).sort(), OWN_RESOURCES.map(crdName).sort())
})

for (const resource of OWN_RESOURCES) {
  const name = crdName(resource)
  test(`${resource.kind}: names, scope, version, status subresource`, () => {
    const crd = crdOf(name)
    const table = tables[name]
    assert.ok(table)
    assert.is(crd.apiVersion, 'apiextensions.k8s.io/v1')
    assert.is(crd.kind, 'CustomResourceDefinition')
    assert.is(crd.spec.group, resource.group)
    assert.is(crd.spec.scope, table.scope)
    assert.is(crd.spec.scope === 'Namespaced', resource.namespaced)
    // Exactly these four: no short names, no categories.
    const { kind, singular } = table
    assert.equal(crd.spec.names, { kind, listKind: `${kind}List`, plural: resource.plural, singular })
    assert.is(crd.spec.conversion, undefined)
    assert.is(crd.spec.versions.length, 1)
    const [version] = crd.spec.versions
    assert.equal([version?.name, version?.served, version?.storage], ['v1', true, true])
    assert.equal(version?.subresources, { status: {} })
  })

  test(`${resource.kind}: printer columns in order`, () => {
    const shown = crdOf(name).spec.versions[0]?.additionalPrinterColumns.map((c) => `${c.name} ${c.type} ${c.jsonPath}`)
    assert.equal(shown, columns(tables[name]?.columns ?? ''))
  })

  test(`${resource.kind}: every field, its type and whether it is required`, () => {
    const schema = crdOf(name).spec.versions[0]?.schema.openAPIV3Schema as Schema
    assert.is(schema.required, undefined, 'neither spec nor status is required')
    assert.equal(fieldsOf(schema), expand(tables[name]?.fields ?? ''))
  })
}

test('§1.0 no constraints but the two inherited ones', () => {
  const found: string[] = []
  const constraints = [
    'enum',
    'minimum',
    'maximum',
    'pattern',
    'default',
    'minLength',
    'maxLength',
    'minItems',
    'maxItems',
  ]
  for (const [name, crd] of crds) {
    const walk = (node: Schema, path: string): void => {
      for (const key of constraints) {
        if (node[key] !== undefined) found.push(`${name.split('.')[0]} ${path} ${key} ${JSON.stringify(node[key])}`)
      }
      for (const [field, child] of Object.entries(node.properties ?? {}))
        walk(child, path === '' ? field : `${path}.${field}`)
      if (node.items) walk(node.items, `${path}[]`)
    }
    walk(crd.spec.versions[0]?.schema.openAPIV3Schema as Schema, '')
  }
  const condition = 'remoteclusters status.conditions[]'
  const qualifiedName =
    '^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])$'
  const expected = [
    `${condition}.message maxLength 32768`,
    `${condition}.observedGeneration minimum 0`,
    `${condition}.reason maxLength 1024`,
    `${condition}.reason minLength 1`,
    `${condition}.reason pattern ${JSON.stringify('^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$')}`,
    `${condition}.status enum ["True","False","Unknown"]`,
    `${condition}.type maxLength 316`,
    `${condition}.type pattern ${JSON.stringify(qualifiedName)}`,
    'remoteendpointslice spec.ports[].protocol default "TCP"',
  ]
  assert.equal(found.sort(), expected.sort())
})

test('§1.5 and §1.8 list semantics', () => {
  const at = (name: string, ...path: string[]): Schema => {
    let node = crdOf(name).spec.versions[0]?.schema.openAPIV3Schema as Schema
    for (const step of path) node = (step === '[]' ? node.items : node.properties?.[step]) as Schema
    return node
  }
  const conditions = at('remoteclusters.multicluster.alibaba.com', 'status', 'conditions')
  assert.is(conditions['x-kubernetes-list-type'], 'map')
  assert.equal(conditions['x-kubernetes-list-map-keys'], ['type'])
  const slice = 'remoteendpointslice.multicluster.alibaba.com'
  assert.is(at(slice, 'spec', 'endpoints')['x-kubernetes-list-type'], 'atomic')
  assert.is(at(slice, 'spec', 'ports')['x-kubernetes-list-type'], 'atomic')
  assert.is(at(slice, 'spec', 'endpoints', '[]', 'addresses')['x-kubernetes-list-type'], 'set')
  assert.is(at(slice, 'spec', 'endpoints', '[]', 'hints', 'forZones')['x-kubernetes-list-type'], 'atomic')
})

test('the schemas are structural: every node has a type, every field a description', () => {
  const wrong: string[] = []
  for (const [name, crd] of crds) {
    const walk = (node: Schema, path: string): void => {
      if (typeof node.type !== 'string') wrong.push(`${name} ${path}: no type`)
      if (node.properties && node.additionalProperties)
        wrong.push(`${name} ${path}: properties and additionalProperties`)
      for (const [field, child] of Object.entries(node.properties ?? {})) {
        if (path !== '' && !child.description) wrong.push(`${name} ${path}.${field}: no description`)
        walk(child, `${path}.${field}`)
      }
      if (node.type === 'array' && !node.items) wrong.push(`${name} ${path}: no items`)
      if (node.items) walk(node.items, `${path}[]`)
    }
    walk(crd.spec.versions[0]?.schema.openAPIV3Schema as Schema, '')
  }
  assert.equal(wrong, [])
})

test.run()
