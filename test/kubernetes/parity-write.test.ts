// The sessions of test/node/apiserver/parity-write.test.ts on the real control plane: what the embedded one is held against is
// true. `RECORD=1` writes the recordings anew, after a change of the sessions or of the version of Kubernetes.
import { writeCases } from '../support/parity/cases/write.ts'
import { startReal } from '../support/parity/real.ts'
import { runParity } from '../support/parity/suite.ts'

runParity({ name: 'write', cases: writeCases, start: startReal, record: process.env['RECORD'] === '1' })
