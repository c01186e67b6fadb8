"""TensorFlow: tf.distribute.MultiWorkerMirroredStrategy reads TF_CONFIG; worker 0 is the chief by TensorFlow's rule."""

from collections.abc import Mapping

from services.trainer.domain import rendezvous
from services.trainer.domain.frameworks import Layout
from services.trainer.plugins.several import ByVariables


class TensorFlow(ByVariables):
    """`policy` is ours: upstream's Trainer serves TensorFlow no more."""

    policy = "tensorflow"
    rank = "TF_CONFIG"

    def told(self, layout: Layout, processes: int) -> Mapping[str, str]:
        workers = rendezvous.addresses(layout.hosts, layout.ports(layout.num_nodes * processes))
        return {"TF_CONFIG": rendezvous.tf_config({"worker": workers}, "worker", "$(JOB_COMPLETION_INDEX)")}
