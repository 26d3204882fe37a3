// The labels a node gets: which networks it is attached to (manager.md §3.3), and whether they have addresses left (§3.6).
import {
  ATTACHED,
  LABEL_BGP_ATTACHMENT,
  LABEL_DUAL_STACK_QUOTA,
  LABEL_IPV4_QUOTA,
  LABEL_IPV6_QUOTA,
  LABEL_OVERLAY_ATTACHMENT,
  LABEL_UNDERLAY_ATTACHMENT,
  QUOTA_EMPTY,
  QUOTA_NONEMPTY,
  effectiveMode,
  effectiveType,
  selectorMatches,
  type Network,
} from '../../api/index.ts'

/** Availability by family without private subnets: those serve only whoever names them (D13). */
export interface Availability {
  readonly ipv4: number
  readonly ipv6: number
  readonly dualStack: number
}

type Labels = Readonly<Record<string, string>>

/** Whether a network selects nodes and this one is among them; no selector selects nothing (D54). */
export function selects(network: Network, labels: Labels): boolean {
  const selector = network.spec?.nodeSelector ?? {}
  return Object.keys(selector).length > 0 && selectorMatches(selector, labels)
}

/** The networks a node's labels are compared with; made once per change of networks, not once per node. */
export interface NetworkPicture {
  /** Underlay networks by name. */
  readonly underlay: readonly Network[]
  readonly overlay: boolean
  readonly globalBGP: boolean
}

export function pictureOf(networks: readonly Network[]): NetworkPicture {
  const byName = [...networks].sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1))
  return {
    underlay: byName.filter((network) => effectiveType(network) === 'Underlay'),
    overlay: networks.some((network) => effectiveType(network) === 'Overlay'),
    globalBGP: networks.some((network) => effectiveType(network) === 'GlobalBGP'),
  }
}

/**
 * Every label of ours with its value, null where it must be absent.
 *
 * @param listedIn the underlay network whose `status.nodeList` names the node, null when none does
 * @param available what that network has left
 */
export function wantedLabels(
  labels: Labels,
  picture: NetworkPicture,
  listedIn: string | null,
  available: (network: string) => Availability | null,
): Readonly<Record<string, string | null>> {
  const underlay = picture.underlay.some((network) => selects(network, labels))
  const bgp =
    underlay &&
    picture.globalBGP &&
    picture.underlay.some((network) => effectiveMode(network) === 'BGP' && selects(network, labels))
  const quota = (count: number | undefined): string | null =>
    listedIn === null ? null : (count ?? 0) > 0 ? QUOTA_NONEMPTY : QUOTA_EMPTY
  const left = listedIn === null ? null : available(listedIn)
  return {
    [LABEL_UNDERLAY_ATTACHMENT]: underlay ? ATTACHED : null,
    [LABEL_OVERLAY_ATTACHMENT]: picture.overlay ? ATTACHED : null,
    [LABEL_BGP_ATTACHMENT]: bgp ? ATTACHED : null,
    [LABEL_IPV4_QUOTA]: quota(left?.ipv4),
    [LABEL_IPV6_QUOTA]: quota(left?.ipv6),
    [LABEL_DUAL_STACK_QUOTA]: quota(left?.dualStack),
  }
}

/** The labels to change, null to remove; null when the node has them all (D33). */
export function labelDifference(
  labels: Labels,
  wanted: Readonly<Record<string, string | null>>,
): Readonly<Record<string, string | null>> | null {
  const changes = Object.entries(wanted).filter(([key, value]) => (labels[key] ?? null) !== value)
  return changes.length === 0 ? null : Object.fromEntries(changes)
}
