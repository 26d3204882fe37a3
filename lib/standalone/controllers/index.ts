// The workload controllers of kube-controller-manager that this project's users and tests need: Deployments, ReplicaSets,
// StatefulSets, the endpoints of Services, the status of PodDisruptionBudgets, and the life of nodes. Each watches through
// lib/kube like any program outside would, so they work against a real API server just as well. Namespaces and garbage
// collection are the API server's own (apiserver/).
//
// Not here: DaemonSets, Jobs, autoscaling, service accounts' tokens, volumes.
import type { KubeClient } from '../../kube/index.ts'
import type { Logger } from '../../telemetry/log.ts'
import { Caches } from './caches.ts'
import type { Controller } from './controller.ts'
import { DeploymentController } from './deployment.ts'
import { DisruptionController } from './disruption.ts'
import { EndpointsController } from './endpoints.ts'
import { defaultNodeTiming, NodeLifecycleController, type NodeTiming } from './node-lifecycle.ts'
import { ReplicaSetController } from './replicaset.ts'
import { StatefulSetController } from './statefulset.ts'

export class Controllers {
  readonly #caches: Caches
  readonly #controllers: readonly Controller[]

  /** @param client stays the caller's to close */
  constructor(client: KubeClient, log: Logger, timing: NodeTiming = defaultNodeTiming) {
    const caches = new Caches(client, log)
    const options = { client, caches, log }
    this.#caches = caches
    this.#controllers = [
      new DeploymentController(options),
      new ReplicaSetController(options),
      new StatefulSetController(options),
      new EndpointsController(options),
      new NodeLifecycleController(options, timing),
      new DisruptionController(options),
    ]
  }

  /** Returns when what is there is known; it is brought in order from then on. */
  async start(): Promise<void> {
    await this.#caches.start()
    for (const controller of this.#controllers) controller.start()
  }

  /** Ends watches, queues and events; objects stay as they are. */
  async stop(): Promise<void> {
    await Promise.all([this.#caches.stop(), ...this.#controllers.map((controller) => controller.stop())])
  }
}

export { CONTROLLER_REVISIONS, DEPLOYMENTS, ENDPOINTS, REPLICA_SETS, STATEFUL_SETS } from './types.ts'
export { defaultNodeTiming, type NodeTiming } from './node-lifecycle.ts'
