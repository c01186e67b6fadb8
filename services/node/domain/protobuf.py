"""The numbers of the fields that kubectl and other typed clients write when they create built-in objects; pure.

Source: generated.proto of k8s.io/api core/v1, apps/v1 and batch/v1. What is not here is refused, never dropped.
"""

from libs.resources.protobuf import table

_CORE = """
Namespace: 1 metadata ObjectMeta, 2 spec NamespaceSpec, 3 status NamespaceStatus
NamespaceSpec: 1 finalizers []
NamespaceStatus: 1 phase
ConfigMap: 1 metadata ObjectMeta, 2 data {}, 3 binaryData {bytes}, 4 immutable bool?
Secret: 1 metadata ObjectMeta, 2 data {bytes}, 3 type, 4 stringData {}, 5 immutable bool?
ServiceAccount: 1 metadata ObjectMeta, 2 secrets [ObjectReference], 3 imagePullSecrets [LocalObjectReference]
ServiceAccount: 4 automountServiceAccountToken bool?
ObjectReference: 1 kind, 2 namespace, 3 name, 4 uid, 5 apiVersion, 6 resourceVersion, 7 fieldPath
LocalObjectReference: 1 name
Service: 1 metadata ObjectMeta, 2 spec ServiceSpec, 3 status ServiceStatus
ServiceStatus: 1 loadBalancer LoadBalancerStatus
LoadBalancerStatus: 1 ingress [LoadBalancerIngress]
LoadBalancerIngress: 1 ip, 2 hostname
ServiceSpec: 1 ports [ServicePort], 2 selector {}, 3 clusterIP, 4 type, 5 externalIPs [], 7 sessionAffinity
ServiceSpec: 8 loadBalancerIP, 10 externalName, 11 externalTrafficPolicy, 12 healthCheckNodePort int
ServiceSpec: 13 publishNotReadyAddresses bool, 17 ipFamilyPolicy, 18 clusterIPs [], 19 ipFamilies []
ServicePort: 1 name, 2 protocol, 3 port int, 4 targetPort port, 5 nodePort int, 6 appProtocol
"""

_POD = """
PodTemplateSpec: 1 metadata ObjectMeta, 2 spec PodSpec
PodSpec: 2 containers [Container], 3 restartPolicy, 4 terminationGracePeriodSeconds int?
PodSpec: 5 activeDeadlineSeconds int?, 6 dnsPolicy, 7 nodeSelector {}, 8 serviceAccountName, 9 serviceAccount
PodSpec: 10 nodeName, 11 hostNetwork bool, 12 hostPID bool, 13 hostIPC bool, 14 securityContext PodSecurityContext
PodSpec: 15 imagePullSecrets [LocalObjectReference], 16 hostname, 17 subdomain, 19 schedulerName
PodSpec: 20 initContainers [Container], 21 automountServiceAccountToken bool?, 24 priorityClassName, 25 priority int?
PodSecurityContext:
Container: 1 name, 2 image, 3 command [], 4 args [], 5 workingDir, 6 ports [ContainerPort], 7 env [EnvVar]
Container: 8 resources ResourceRequirements, 13 terminationMessagePath
Container: 14 imagePullPolicy, 16 stdin bool, 17 stdinOnce bool, 18 tty bool
Container: 20 terminationMessagePolicy
ContainerPort: 1 name, 2 hostPort int, 3 containerPort int, 4 protocol, 5 hostIP
EnvVar: 1 name, 2 value
ResourceRequirements: 1 limits {quantity}, 2 requests {quantity}
"""

_WORKLOADS = """
Deployment: 1 metadata ObjectMeta, 2 spec DeploymentSpec, 3 status DeploymentStatus
DeploymentSpec: 1 replicas int?, 2 selector LabelSelector, 3 template PodTemplateSpec, 4 strategy DeploymentStrategy
DeploymentSpec: 5 minReadySeconds int, 6 revisionHistoryLimit int?, 7 paused bool, 9 progressDeadlineSeconds int?
DeploymentStrategy: 1 type, 2 rollingUpdate RollingUpdateDeployment
RollingUpdateDeployment: 1 maxUnavailable port, 2 maxSurge port
DeploymentStatus: 1 replicas int, 2 updatedReplicas int, 3 availableReplicas int, 4 unavailableReplicas int
DeploymentStatus: 5 observedGeneration int, 7 readyReplicas int
Job: 1 metadata ObjectMeta, 2 spec JobSpec, 3 status JobStatus
JobSpec: 1 parallelism int?, 2 completions int?, 3 activeDeadlineSeconds int?, 4 selector LabelSelector
JobSpec: 5 manualSelector bool?, 6 template PodTemplateSpec, 7 backoffLimit int?, 8 ttlSecondsAfterFinished int?
JobSpec: 9 completionMode, 10 suspend bool?
JobStatus: 4 active int, 5 succeeded int, 6 failed int, 7 completedIndexes
"""

_TOKEN = """
TokenRequest: 1 metadata ObjectMeta, 2 spec TokenRequestSpec, 3 status TokenRequestStatus
TokenRequestSpec: 1 audiences [], 4 expirationSeconds int?
TokenRequestStatus: 1 token, 2 expirationTimestamp time
"""

MESSAGES = table(_CORE + _POD + _WORKLOADS + _TOKEN)
