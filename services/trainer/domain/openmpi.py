"""What OpenMPI, both of its generations, is told by variables where an agent of ours stands for ssh."""

FOLDER = "/etc/mpi"
HOSTFILE, AGENT = f"{FOLDER}/hostfile", f"{FOLDER}/agent.py"
CALL = f"python3 {AGENT} call"

ROOT = {
    "OMPI_ALLOW_RUN_AS_ROOT": "1",
    "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    "PRTE_ALLOW_RUN_AS_ROOT": "1",
    "PRTE_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
}
"""Pods may run as root, and mpirun refuses to, unless it is told twice."""
LAUNCHER = {
    "OMPI_MCA_orte_default_hostfile": HOSTFILE,
    "OMPI_MCA_orte_keep_fqdn_hostnames": "true",
    "OMPI_MCA_plm_rsh_agent": CALL,
    "OMPI_MCA_plm_rsh_no_tree_spawn": "1",
    "OMPI_MCA_hwloc_base_binding_policy": "none",
    "PRTE_MCA_prte_default_hostfile": HOSTFILE,
    "PRTE_MCA_prte_keep_fqdn_hostnames": "true",
    "PRTE_MCA_plm_ssh_agent": CALL,
    "PRTE_MCA_plm_ssh_no_tree_spawn": "1",
    "PRTE_MCA_hwloc_default_binding_policy": "none",
}
"""Where the hosts stand, how they are reached, and no binding, since pods may share cores."""
