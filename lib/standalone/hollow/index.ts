// Nodes without a kernel, by the thousand; see README.md in this folder.
export { HollowFleet, type HollowFleetOptions } from './fleet.ts'
export { HOLLOW_LABEL, type HollowNode, hollowNode, MAX_HOLLOW_NODES, nodeInfoObject, nodeObject } from './nodes.ts'
