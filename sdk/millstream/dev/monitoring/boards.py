"""What the dashboards show. Every metric is one that the services expose: tests scrape them and compare."""

from __future__ import annotations

from millstream.dev.monitoring.panels import Board, Panel
from millstream.dev.monitoring.queries import each, least, most, quantiles, rate, rise, share, total

HERE = 'platform="millstream"'
CHOSEN = f'{HERE},service=~"$service"'
HANDLED = f'{CHOSEN},outcome="handled"'
DOOR = f'{HERE},service="gateway"'
ENDED = f'{HERE},service="scheduler",outcome="handled",type=~"training.trainjob.(succeeded|failed|deleted).v1"'
MODEL = 'namespace=~"$namespace",inferenceservice=~"$inferenceservice",inferenceservice!=""'
PREDICTIONS = f'{MODEL},route=~".*(infer|:predict|ModelInfer)"'
ISVC = "namespace, inferenceservice"
CPU = f"rate(process_cpu_seconds_total{{{HERE}}}[$__rate_interval])"
CERTIFICATE = f"min by (service) (millstream_tls_certificate_expiry_timestamp_seconds{{{HERE}}}) - time()"

OVERVIEW = Board(
    "millstream-overview",
    "Millstream / Overview",
    {
        "Is it well?": (
            Panel("Replicas that answer", total("up", HERE, "service"), kind="stat"),
            Panel("Parts of replicas that are well", least("check_ok", HERE, "service, check"), kind="stat"),
            Panel(
                "Certificates end in", each(CERTIFICATE, "service"), "s", "stat", what="Empty without TLS listeners."
            ),
        ),
        "Requests at the gateway": (
            Panel("Requests", rate("http_request_seconds_count", DOOR, "route"), "reqps"),
            Panel("Errors", rate("http_request_seconds_count", f'{DOOR},code=~"5.."', "route, code"), "reqps"),
            Panel("Latency", quantiles("http_request_seconds", DOOR, "route"), "s"),
        ),
        "Inside": (
            Panel("Oldest letter not yet said", most("outbox_oldest_unsaid_seconds", HERE, "service"), "s"),
            Panel("Messages waiting for a service", most("bus_pending_messages", HERE, "service")),
            Panel("Objects whose reconciling fails", most("reconcile_failing_objects", HERE, "service, kind")),
            Panel("Time of a commit", quantiles("store_commit_seconds", HERE, "service"), "s"),
            Panel("Wait for the turn to write", quantiles("store_write_wait_seconds", HERE, "service"), "s"),
            Panel("Open watches", total("http_streams", HERE, "service")),
            Panel("Memory", total("process_resident_memory_bytes", HERE, "service, pod"), "bytes"),
            Panel("Cores in use", each(CPU, "service, pod")),
            Panel("Calls of the cluster's API", rate("cluster_requests_total", HERE, "verb, code"), "reqps"),
        ),
    },
)

EVENTS = Board(
    "millstream-events",
    "Millstream / Events",
    {
        "The broker": (
            Panel("Services that reach it", least("bus_connected", CHOSEN, "service"), kind="stat"),
            Panel("Syncs before it acknowledges", least("bus_durable", HERE), kind="stat"),
            Panel("Copies of the stream missing", most("bus_stream_replicas_missing", HERE), kind="stat", alarm=1),
            Panel("Messages in the stream", most("bus_stream_messages", HERE)),
            Panel("Bytes in the stream", most("bus_stream_bytes", HERE), "bytes"),
            Panel("Time of an acknowledgement", quantiles("bus_publish_seconds", CHOSEN, "service"), "s"),
        ),
        "Saying": (
            Panel("Letters not yet said", most("outbox_unsaid_letters", CHOSEN, "service")),
            Panel("Oldest of them", most("outbox_oldest_unsaid_seconds", CHOSEN, "service"), "s"),
            Panel("Not taken by the broker in time", rate("bus_publish_failures_total", CHOSEN, "service"), "reqps"),
            Panel("Never to be taken", rise("letters_unsayable_total", CHOSEN, "service")),
        ),
        "Hearing": (
            Panel("Letters handled", rate("letters_total", HANDLED, "service, type"), "reqps"),
            Panel("Letters by what came of them", rate("letters_total", CHOSEN, "service, outcome"), "reqps"),
            Panel("Age of a letter when handled", quantiles("letter_age_seconds", CHOSEN, "service"), "s"),
            Panel("Messages waiting", most("bus_pending_messages", CHOSEN, "service")),
            Panel("Messages in hand or put off", most("bus_unacked_messages", CHOSEN, "service")),
            Panel("In hand for another time", most("bus_redelivered_messages", CHOSEN, "service")),
            Panel("Failed and put off", rate("bus_retries_total", CHOSEN, "service"), "reqps"),
            Panel("Delivered again", rate("bus_redeliveries_total", CHOSEN, "service"), "reqps"),
            Panel("Messages given up", rise("dead_letters_total", CHOSEN, "service, reason")),
            Panel("Dead letters kept", most("dead_letters_kept", CHOSEN, "service"), kind="stat", alarm=1),
        ),
    },
    {"service": f"label_values(millstream_check_ok{{{HERE}}}, service)"},
)

TRAINING = Board(
    "millstream-training",
    "Millstream / Training and scheduling",
    {
        "The queue": (
            Panel("Workloads", [*most("waiting_workloads", HERE), *most("admitted_workloads", HERE)]),
            Panel("Longest wait now", most("waiting_oldest_seconds", HERE), "s"),
            Panel("Wait of the admitted", quantiles("admission_wait_seconds", HERE), "s"),
            Panel(
                "Capacity in use", share("admitted_resources", "capacity_resources", HERE, "resource"), "percentunit"
            ),
            Panel("Jobs that ended", rise("letters_total", ENDED, "type")),
        ),
        "Reconciling": (
            Panel("Steps", rate("reconciles_total", HERE, "kind, outcome"), "reqps"),
            Panel("Time of a step", quantiles("reconcile_seconds", HERE, "kind"), "s"),
            Panel("Objects waiting", most("reconcile_queue_objects", HERE, "kind")),
            Panel("Objects failing", most("reconcile_failing_objects", HERE, "kind")),
            Panel("Replicas that lead", total("controller_leading", HERE, "service"), kind="stat"),
            Panel("Cluster API: time to answer", quantiles("cluster_request_seconds", HERE, "verb"), "s"),
        ),
    },
)

SERVING = Board(
    "millstream-serving",
    "Millstream / Serving",
    {
        "Predictions": (
            Panel("Predictions", rate("model_requests_total", PREDICTIONS, ISVC), "reqps"),
            Panel(
                "Refused or failed",
                rate("model_requests_total", f'{PREDICTIONS},code!~"2..|OK"', f"{ISVC}, code"),
                "reqps",
            ),
            Panel("Latency", quantiles("model_request_seconds", PREDICTIONS, ISVC), "s"),
            Panel("Time inside the model", quantiles("model_predict_seconds", MODEL, ISVC), "s"),
            Panel("Predictions in hand", total("model_predictions_in_hand", MODEL, ISVC)),
            Panel("By protocol", rate("model_requests_total", PREDICTIONS, "protocol"), "reqps"),
        ),
        "Model servers": (
            Panel("Ready", total("model_ready", MODEL, ISVC), kind="stat"),
            Panel("Replicas by version", total("model_info", MODEL, f"{ISVC}, version")),
            Panel("Memory", total("process_resident_memory_bytes", MODEL, f"{ISVC}, pod"), "bytes"),
        ),
    },
    {
        "namespace": "label_values(millstream_model_info, namespace)",
        "inferenceservice": 'label_values(millstream_model_info{namespace=~"$namespace"}, inferenceservice)',
    },
)

BOARDS = {"overview": OVERVIEW, "events": EVENTS, "training": TRAINING, "serving": SERVING}
