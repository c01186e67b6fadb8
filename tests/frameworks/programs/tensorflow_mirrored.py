"""MultiWorkerMirroredStrategy on two workers, as TF_CONFIG names them; each has its own data."""

import numpy as np
import tensorflow as tf

strategy = tf.distribute.MultiWorkerMirroredStrategy()
task = strategy.cluster_resolver.task_id
features = np.random.default_rng(task).normal(size=(64, 4)).astype(np.float32)
target = features.sum(axis=1, keepdims=True)
with strategy.scope():
    weights = tf.Variable(tf.zeros([4, 1]))


@tf.function
def step():
    def each():
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((features @ weights - target) ** 2)
        gradient = tf.distribute.get_replica_context().all_reduce("MEAN", tape.gradient(loss, weights))
        weights.assign_sub(0.1 * gradient)
        return loss

    return strategy.reduce("MEAN", strategy.run(each), axis=None)


for number in range(10):
    loss = float(step())
    if task == 0:
        print(f"size {strategy.num_replicas_in_sync} step {number} loss {loss:.6f}", flush=True)
