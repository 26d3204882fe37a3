// A pod as a scheduler, this project and a kubelet leave it: some 1.9 KB of JSON.
import type { KubeObject } from '../../lib/standalone/apiserver/index.ts'

export const namespaces = 20
export const apps = 100
export const nodes = 500

/** The pod of a number; a new object each time. */
export function podOf(index: number): KubeObject {
  const name = `app-${index % apps}-${String(index).padStart(6, '0')}`
  const address = `100.${64 + (index >> 16)}.${(index >> 8) & 255}.${index & 255}`
  const app = `app-${index % apps}`
  const time = '2024-05-06T07:08:09Z'
  const condition = (type: string): KubeObject['metadata'] => ({
    type,
    status: 'True',
    lastProbeTime: null,
    lastTransitionTime: time,
  })
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name,
      namespace: `team-${index % namespaces}`,
      uid: `00000000-0000-4000-8000-${String(index).padStart(12, '0')}`,
      creationTimestamp: time,
      generation: 1,
      labels: { app, 'pod-template-hash': '5d4f8c7b9', tier: index % 1000 === 0 ? 'rare' : 'common' },
      annotations: { 'networking.alibaba.com/network-type': 'Overlay', 'checksum/config': 'a'.repeat(64) },
    },
    spec: {
      nodeName: `node-${index % nodes}`,
      serviceAccountName: 'default',
      restartPolicy: 'Always',
      terminationGracePeriodSeconds: 30,
      dnsPolicy: 'ClusterFirst',
      schedulerName: 'default-scheduler',
      priority: 0,
      enableServiceLinks: true,
      securityContext: {},
      containers: [
        {
          name: 'main',
          image: 'registry.example/team/main:1.2.3',
          imagePullPolicy: 'IfNotPresent',
          ports: [{ name: 'http', containerPort: 8080, protocol: 'TCP' }],
          env: [
            { name: 'MODE', value: 'production' },
            { name: 'POD_IP', valueFrom: { fieldRef: { apiVersion: 'v1', fieldPath: 'status.podIP' } } },
          ],
          resources: { limits: { cpu: '1', memory: '512Mi' }, requests: { cpu: '100m', memory: '128Mi' } },
          terminationMessagePath: '/dev/termination-log',
          terminationMessagePolicy: 'File',
        },
      ],
    },
    status: {
      phase: 'Running',
      hostIP: `192.168.${(index % nodes) >> 8}.${(index % nodes) & 255}`,
      podIP: address,
      podIPs: [{ ip: address }],
      qosClass: 'Burstable',
      startTime: time,
      conditions: ['Initialized', 'Ready', 'ContainersReady', 'PodScheduled'].map(condition),
      containerStatuses: [
        {
          name: 'main',
          ready: true,
          started: true,
          restartCount: 0,
          image: 'registry.example/team/main:1.2.3',
          imageID: `sha256:${'0123456789abcdef'.repeat(4)}`,
          containerID: `containerd://${String(index).padStart(64, '0')}`,
          state: { running: { startedAt: time } },
          lastState: {},
        },
      ],
    },
  }
}
