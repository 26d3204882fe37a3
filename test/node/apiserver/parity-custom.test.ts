// Terminal sessions of kubectl (definitions) against the embedded control plane, held against transcripts of the real one.
import { bringUpLoopback } from '../../support/loopback.ts'
import { customCases } from '../../support/parity/cases/custom.ts'
import { startEmbedded } from '../../support/parity/embedded.ts'
import { runParity } from '../../support/parity/suite.ts'

bringUpLoopback()
runParity({ name: 'custom', cases: customCases, start: startEmbedded })
