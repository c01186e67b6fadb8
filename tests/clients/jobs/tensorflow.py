"""A TFJob's program: parameter servers and workers serve, the chief trains over them, the evaluator looks on."""

import json
import os

import tensorflow as tf

config = json.loads(os.environ["TF_CONFIG"])
task = config["task"]
print("task", task["type"], task["index"], "cluster", sorted(config["cluster"]), flush=True)
resolver = tf.distribute.cluster_resolver.TFConfigClusterResolver()
if task["type"] in ("worker", "ps"):
    server = tf.distribute.Server(
        resolver.cluster_spec(), job_name=task["type"], task_index=task["index"], protocol="grpc", start=True
    )
    server.join()
elif task["type"] == "chief":
    strategy = tf.distribute.ParameterServerStrategy(resolver)
    with strategy.scope():
        weights = tf.Variable(tf.zeros([4, 1]))
    coordinator = tf.distribute.coordinator.ClusterCoordinator(strategy)
    features = tf.random.stateless_normal([64, 4], seed=[1, 2])
    wanted = tf.reduce_sum(features, axis=1, keepdims=True)

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((features @ weights - wanted) ** 2)
        weights.assign_sub(0.2 * tape.gradient(loss, weights))
        return loss

    for number in range(15):
        result = coordinator.schedule(step)
        coordinator.join()
        loss = result.fetch()
        if number % 7 == 0:
            print("step", number, "loss", float(loss), flush=True)
else:
    print("evaluating beside the cluster", flush=True)
