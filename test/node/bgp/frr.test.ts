// Our speaker against FRR.
import { test } from 'uvu'
import { Frr, frrPrograms } from './frr.ts'
import { missing } from './router.ts'
import { interoperate } from './scenarios.ts'

const lacking = missing(frrPrograms, 'frr')
if (lacking === null) interoperate((place) => new Frr(place))
else test.skip(`FRR is not installed (apt-get install ${lacking})`, () => undefined)

test.run()
