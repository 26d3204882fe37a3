// Terminal sessions of kubectl (workloads and nodes) against the embedded control plane, held against transcripts of the real one.
import { bringUpLoopback } from '../../support/loopback.ts'
import { workloadCases } from '../../support/parity/cases/workloads.ts'
import { startEmbedded } from '../../support/parity/embedded.ts'
import { runParity } from '../../support/parity/suite.ts'

bringUpLoopback()
runParity({ name: 'workloads', cases: workloadCases, start: startEmbedded })
