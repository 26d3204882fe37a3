// Our speaker against GoBGP.
import { test } from 'uvu'
import { GoBgp, gobgpPrograms } from './gobgp.ts'
import { missing } from './router.ts'
import { interoperate } from './scenarios.ts'

const lacking = missing(gobgpPrograms, 'gobgpd')
if (lacking === null) interoperate((place) => new GoBgp(place))
else test.skip(`GoBGP is not installed (apt-get install ${lacking})`, () => undefined)

test.run()
