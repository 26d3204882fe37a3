// Rules of RemoteClusters and RemoteSubnets (api.md §4.2.4, §4.2.5). An API endpoint is HTTPS at any host, with or without a
// port: single-label names and IPv6 literals too, which the original refuses.
import {
  parseRemoteSubnet,
  parseSubnet,
  rangesShareAddress,
  type ParsedRange,
  type Problem,
  type RemoteCluster,
  type RemoteSubnet,
} from '../../api/index.ts'
import { deepEqual } from '../../kube/index.ts'
import { ALLOWED, deny, denyProblems, nameProblems, type Decision } from '../decision.ts'
import type { ObjectReads } from '../reads.ts'

export function checkRemoteCluster(old: RemoteCluster | null, cluster: RemoteCluster): Decision {
  if (old !== null && deepEqual(old.spec ?? null, cluster.spec ?? null)) return ALLOWED
  const problems: Problem[] = []
  const { name } = cluster.metadata
  if (old === null) {
    problems.push(...nameProblems(name))
    if (name.includes('.')) {
      const expected = 'a name without dots, as mirrored objects are called CLUSTER.NAME'
      problems.push({ field: 'metadata.name', value: name, expected })
    }
  }
  const endpoint = cluster.spec?.apiEndpoint || undefined
  if (endpoint === undefined || !isHttpsEndpoint(endpoint)) {
    const expected = 'the URL of an API server such as https://203.0.113.5:6443'
    problems.push({ field: 'spec.apiEndpoint', value: endpoint, expected })
  }
  for (const field of ['caData', 'certData', 'keyData'] as const) {
    if (!cluster.spec?.[field]) problems.push({ field: `spec.${field}`, value: undefined, expected: 'PEM in base64' })
  }
  return denyProblems(problems) ?? ALLOWED
}

function isHttpsEndpoint(text: string): boolean {
  if (!/^https:\/\/[^/?#@\s]+\/?$/.test(text) || !URL.canParse(text)) return false
  const { hostname, port } = new URL(text)
  return hostname !== '' && port !== '0'
}

export async function createRemoteSubnet(subnet: RemoteSubnet, reads: ObjectReads): Promise<Decision> {
  const { value, problems } = parseRemoteSubnet(subnet)
  if (value === null || problems.length > 0) return denyProblems(problems) ?? ALLOWED
  const cidr = subnet.spec?.range.cidr
  const refuse = (kind: string, name: string): Decision =>
    deny({
      field: 'spec.range',
      value: cidr,
      why: `${kind} ${JSON.stringify(name)} has addresses of it`,
      wayOut: 'connect only clusters whose pod addresses are apart',
    })
  const shares = (other: ParsedRange | null): boolean => other !== null && rangesShareAddress(value, other)
  const local = (await reads.topology()).subnets().find((one) => shares(parseSubnet(one).value))
  if (local !== undefined) return refuse('Subnet', local.metadata.name)
  const remote = (await reads.remoteSubnets()).find(
    (one) => one.metadata.name !== subnet.metadata.name && shares(parseRemoteSubnet(one).value),
  )
  return remote === undefined ? ALLOWED : refuse('RemoteSubnet', remote.metadata.name)
}
