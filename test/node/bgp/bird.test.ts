// Our speaker against BIRD 2.
import { test } from 'uvu'
import { Bird, birdPrograms } from './bird.ts'
import { missing } from './router.ts'
import { interoperate } from './scenarios.ts'

const lacking = missing(birdPrograms, 'bird2')
if (lacking === null) interoperate((place) => new Bird(place))
else test.skip(`BIRD is not installed (apt-get install ${lacking})`, () => undefined)

test.run()
