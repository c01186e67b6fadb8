"""For each alert, figures under which it fires after a while and figures under which it stays silent.

The notation is that of promtool's unit tests (prometheus.io, "Unit testing for rules"): `0+60x30` begins at zero and
takes thirty steps of sixty, one a minute.
"""

from __future__ import annotations

from dataclasses import dataclass

Series = dict[str, str]

SYSTEM = 'namespace="millstream-system"'
P = f'platform="millstream",{SYSTEM}'
TRAINER = f'{P},service="trainer",pod="trainer-0"'
OTHER = f'{P},service="trainer",pod="trainer-1"'
DOOR = f'{P},service="gateway",pod="gateway-0",method="GET",route="trainer"'
MODEL = 'namespace="team",inferenceservice="digits",pod="digits-0"'
PREDICT = f'{MODEL},protocol="v2",route="/v2/models/{{name}}/infer"'
PROBE = f'{MODEL},protocol="v2",route="/v2/health/ready"'


@dataclass(frozen=True)
class Case:
    """`fires` makes the alert fire at minute `after`, `silent` does not."""

    fires: Series
    silent: Series
    after: int = 30


def _flat(metric: str, labels: str, value: float) -> Series:
    return {f"{metric}{{{labels}}}": f"{value}x100"}


def _slow(metric: str, labels: str, bound: str, bad: bool) -> Series:
    """A hundred observations a minute, half of them slower than `bound` where it is bad."""
    fast = "0+50x100" if bad else "0+100x100"
    return {
        f'{metric}_bucket{{{labels},le="{bound}"}}': fast,
        f'{metric}_bucket{{{labels},le="60"}}': "0+100x100",
        f'{metric}_bucket{{{labels},le="+Inf"}}': "0+100x100",
    }


CASES = {
    "MillstreamDown": Case(_flat("up", TRAINER, 0), _flat("up", TRAINER, 1)),
    "MillstreamServiceDown": Case(
        {**_flat("up", TRAINER, 0), **_flat("up", OTHER, 0)},
        {**_flat("up", TRAINER, 0), **_flat("up", OTHER, 1)},
    ),
    "MillstreamPodsNotReady": Case(
        {
            f'kube_statefulset_status_replicas{{{SYSTEM},statefulset="nats"}}': "3x100",
            f'kube_statefulset_status_replicas_ready{{{SYSTEM},statefulset="nats"}}': "2x100",
        },
        _flat("kube_deployment_status_replicas_unavailable", f'{SYSTEM},deployment="trainer"', 0),
    ),
    "MillstreamStoreUnavailable": Case(
        _flat("millstream_check_ok", f'{TRAINER},check="store"', 0),
        {
            **_flat("millstream_check_ok", f'{TRAINER},check="store"', 1),
            **_flat("millstream_check_ok", f'{TRAINER},check="bus"', 0),
        },
    ),
    "MillstreamTaskFailing": Case(
        _flat("millstream_check_ok", f'{TRAINER},check="tasks"', 0),
        {f'millstream_check_ok{{{TRAINER},check="tasks"}}': "1x10 0x4 1x80"},
    ),
    "MillstreamNoLeader": Case(
        {**_flat("millstream_controller_leading", TRAINER, 0), **_flat("millstream_controller_leading", OTHER, 0)},
        {**_flat("millstream_controller_leading", TRAINER, 0), **_flat("millstream_controller_leading", OTHER, 1)},
    ),
    "MillstreamCertificateExpiring": Case(  # promtool's clock begins at 0
        _flat("millstream_tls_certificate_expiry_timestamp_seconds", TRAINER, 5 * 86400),
        _flat("millstream_tls_certificate_expiry_timestamp_seconds", TRAINER, 30 * 86400),
        after=90,
    ),
    "MillstreamBackupTooOld": Case(
        {f'kube_cronjob_status_last_successful_time{{{SYSTEM},cronjob="backup"}}': "0x4000"},
        {f'kube_cronjob_status_last_successful_time{{{SYSTEM},cronjob="backup"}}': "0x1439 86400x2600"},
        after=2960,
    ),
    "MillstreamBrokerUnavailable": Case(
        _flat("millstream_bus_connected", TRAINER, 0),
        {f"millstream_bus_connected{{{TRAINER}}}": "1x10 0 1x80"},
    ),
    "MillstreamBrokerNotDurable": Case(
        _flat("millstream_bus_durable", TRAINER, 0), _flat("millstream_bus_durable", TRAINER, 1)
    ),
    "MillstreamStreamReplicasMissing": Case(
        _flat("millstream_bus_stream_replicas_missing", TRAINER, 1),
        {f"millstream_bus_stream_replicas_missing{{{TRAINER}}}": "0x10 1x5 0x80"},
    ),
    "MillstreamOutboxLag": Case(
        {f"millstream_outbox_oldest_unsaid_seconds{{{TRAINER}}}": "0+60x100"},
        {f"millstream_outbox_oldest_unsaid_seconds{{{TRAINER}}}": "0+60x3 0x90"},
    ),
    "MillstreamConsumerLag": Case(
        _flat("millstream_bus_pending_messages", TRAINER, 5000),
        {f"millstream_bus_pending_messages{{{TRAINER}}}": "5000-500x10 0x80"},
    ),
    "MillstreamEventsSlow": Case(
        _slow("millstream_letter_age_seconds", TRAINER, "10", bad=True),
        _slow("millstream_letter_age_seconds", TRAINER, "10", bad=False),
    ),
    "MillstreamDeadLettersGrowing": Case(
        {f"millstream_dead_letters_kept{{{TRAINER}}}": "0x25 3x80"},
        _flat("millstream_dead_letters_kept", TRAINER, 3),
    ),
    "MillstreamDeadLettersKept": Case(
        {f"millstream_dead_letters_kept{{{TRAINER}}}": "1x2000"},
        {f"millstream_dead_letters_kept{{{TRAINER}}}": "1x100 0x1900"},
        after=1500,
    ),
    "MillstreamLettersUnsayable": Case(
        {f"millstream_letters_unsayable_total{{{TRAINER}}}": "0x25 1x80"},
        _flat("millstream_letters_unsayable_total", TRAINER, 7),
    ),
    "MillstreamReconcileErrors": Case(
        _flat("millstream_reconcile_failing_objects", f'{TRAINER},kind="TrainJob"', 1),
        {f'millstream_reconcile_failing_objects{{{TRAINER},kind="TrainJob"}}': "1x5 0x5 1x5 0x90"},
    ),
    "MillstreamReconcileQueue": Case(
        _flat("millstream_reconcile_queue_objects", f'{TRAINER},kind="TrainJob"', 900),
        _flat("millstream_reconcile_queue_objects", f'{TRAINER},kind="TrainJob"', 20),
    ),
    "MillstreamAdmissionWait": Case(
        {f"millstream_waiting_oldest_seconds{{{TRAINER}}}": "0+60x400"},
        _flat("millstream_waiting_oldest_seconds", TRAINER, 600),
        after=300,
    ),
    "MillstreamQueueStuck": Case(
        {**_flat("millstream_waiting_workloads", TRAINER, 2), **_flat("millstream_admitted_workloads", TRAINER, 0)},
        {**_flat("millstream_waiting_workloads", TRAINER, 2), **_flat("millstream_admitted_workloads", TRAINER, 1)},
    ),
    "MillstreamClusterErrors": Case(
        {
            f'millstream_cluster_requests_total{{{TRAINER},verb="get",code="200"}}': "0+10x100",
            f'millstream_cluster_requests_total{{{TRAINER},verb="get",code="429"}}': "0+10x100",
        },
        {
            f'millstream_cluster_requests_total{{{TRAINER},verb="get",code="200"}}': "0+10x100",
            f'millstream_cluster_requests_total{{{TRAINER},verb="get",code="404"}}': "0+10x100",
        },
    ),
    "MillstreamApiErrors": Case(
        {
            f'millstream_http_request_seconds_count{{{DOOR},code="200"}}': "0+90x100",
            f'millstream_http_request_seconds_count{{{DOOR},code="503"}}': "0+10x100",
        },
        {
            f'millstream_http_request_seconds_count{{{DOOR},code="200"}}': "0+90x100",
            f'millstream_http_request_seconds_count{{{DOOR},code="404"}}': "0+90x100",
        },
    ),
    "MillstreamApiSlow": Case(
        _slow("millstream_http_request_seconds", f'{DOOR},code="200"', "1", bad=True),
        _slow("millstream_http_request_seconds", f'{DOOR},code="200"', "1", bad=False),
    ),
    "MillstreamServingErrors": Case(
        {
            f'millstream_model_requests_total{{{PREDICT},code="200"}}': "0+90x100",
            f'millstream_model_requests_total{{{PREDICT},code="500"}}': "0+10x100",
        },
        {
            f'millstream_model_requests_total{{{PREDICT},code="400"}}': "0+90x100",
            f'millstream_model_requests_total{{{PROBE},code="503"}}': "0+90x100",
        },
    ),
    "MillstreamServingSlow": Case(
        _slow("millstream_model_request_seconds", PREDICT, "0.5", bad=True),
        _slow("millstream_model_request_seconds", PROBE, "0.5", bad=True),
    ),
    "MillstreamModelNotReady": Case(
        _flat("millstream_model_ready", MODEL, 0),
        {
            **_flat("millstream_model_ready", MODEL, 0),
            **_flat("millstream_model_ready", f"{MODEL.replace('-0', '-1')}", 1),
        },
    ),
}
