import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { hasUid } from '../../../lib/daemon/pod-networking.ts'
import { projectPod } from '../../../lib/daemon/view/projections.ts'

const project = (annotations: Record<string, string>): ReturnType<typeof projectPod> =>
  projectPod({ metadata: { name: 'web', namespace: 'default', uid: 'api-uid', annotations } })

test('a pod has the UID of the API', () => {
  assert.ok(hasUid(project({}), 'api-uid'))
  assert.not.ok(hasUid(project({}), 'another'))
})

test("a static pod has the kubelet's UID as well, which its mirror names", () => {
  const mirror = project({ 'kubernetes.io/config.mirror': 'kubelet-uid', 'kubernetes.io/config.source': 'file' })
  assert.ok(hasUid(mirror, 'kubelet-uid'))
  assert.ok(hasUid(mirror, 'api-uid'))
  assert.not.ok(hasUid(mirror, 'another'))
})

test.run()
