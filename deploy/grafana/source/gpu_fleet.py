"""All GPUs: who holds them, whether they work, and whether they are well."""

from __future__ import annotations

from deploy.grafana.source.panels import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    RED,
    YELLOW,
    Dashboard,
    Panel,
    Query,
    Row,
    Threshold,
    Variable,
)
from deploy.grafana.source.queries import NO_GPU, ONE_VERSION, REQUESTS, VARIABLES, VERSION

_CHOSEN = '{host=~"$host",namespace=~"$namespace"}'
_HELD = '{host=~"$host",namespace=~"$namespace",pod!=""}'
_ON_HOST = '{host=~"$host"}'
_UTILISATION = "gpu:utilization_ratio:avg5m"
_USED, _FREE = "gpu:memory_used_bytes:max", "gpu:memory_free_bytes:max"
_GPU = "{{host}} gpu {{gpu}}"
_HOLDER = "{{host}} gpu {{gpu}} {{GPU_I_ID}} {{pod}}"


def _per_gpu(*names: str) -> str:
    """Return a value per GPU under one set of labels, whatever generation of dcgm-exporter it comes from."""
    either = " or on (job, instance, gpu, UUID) ".join(names)
    for label in ("instance", "host_name", "hostname", "Hostname"):
        either = f'label_replace({either}, "host", "$1", "{label}", "(.+)")'
    return f"max by (host, gpu, UUID) ({either}) and on (host, gpu, UUID) {_UTILISATION}{_ON_HOST}"


FLEET_ROW = Row(
    "Is the fleet put to use?",
    (
        Panel(
            shape="stat",
            title="How many GPUs are there?",
            description="GPUs and MIG instances that report.",
            unit="short",
            queries=(Query(f"count({_UTILISATION}{_CHOSEN})", "GPUs"),),
            waits_for=NO_GPU,
            base=BLUE,
            no_limit="a loss shows as a step in the small chart",
            width=6,
            height=5,
            decimals=0,
        ),
        Panel(
            shape="stat",
            title="Which share of them does nobody hold?",
            description="GPUs that are known to be unallocated; where no exporter knows, they count as held.",
            unit="percentunit",
            queries=(
                Query(
                    f"(count({_UTILISATION}{_ON_HOST} and on (host, gpu, UUID, GPU_I_ID) gpu:unallocated:group)"
                    f" or 0 * count({_UTILISATION}{_ON_HOST})) / (count({_UTILISATION}{_ON_HOST}) > 0)",
                    "unallocated",
                ),
            ),
            waits_for=NO_GPU,
            thresholds=(Threshold(0.25, YELLOW, "a quarter of the fleet is paid for and idle", "25 %"),),
            width=6,
            height=5,
            decimals=0,
            maximum=1,
        ),
        Panel(
            shape="gauge",
            title="How busy are those that somebody holds?",
            description="Mean utilisation over 5 minutes of the GPUs that are not known to be unallocated.",
            unit="percentunit",
            queries=(
                Query(
                    f"avg({_UTILISATION}{_CHOSEN} unless on (host, gpu, UUID, GPU_I_ID) gpu:unallocated:group)", "busy"
                ),
            ),
            waits_for=NO_GPU,
            base=ORANGE,
            thresholds=(Threshold(0.3, GREEN, "enough; a single GPU below it is LowGPUUtilization", "30 %"),),
            alerts=("LowGPUUtilization",),
            width=6,
            height=5,
            decimals=0,
            maximum=1,
        ),
        Panel(
            shape="gauge",
            title="How full is the GPU memory?",
            description="Framebuffer memory in use among all there is.",
            unit="percentunit",
            queries=(Query(f"sum({_USED}{_ON_HOST}) / (sum({_USED}{_ON_HOST} + {_FREE}{_ON_HOST}) > 0)", "in use"),),
            waits_for=NO_GPU,
            thresholds=(
                Threshold(0.9, YELLOW, "a larger model or batch may not fit", "90 %"),
                Threshold(0.98, RED, "the next allocation may fail", "98 %"),
            ),
            width=6,
            height=5,
            decimals=0,
            maximum=1,
        ),
    ),
)

WORK_ROW = Row(
    "Which GPUs idle, and which have no room?",
    (
        Panel(
            shape="state-timeline",
            title="When was which GPU idle?",
            description="Utilisation per GPU over time, the mean of 5 minutes.",
            unit="percentunit",
            queries=(Query(f"{_UTILISATION}{_CHOSEN}", _HOLDER),),
            waits_for=NO_GPU,
            base=ORANGE,
            thresholds=(
                Threshold(0.3, GREEN, "used well", "30 %"),
                Threshold(0.95, BLUE, "no room is left", "95 %"),
            ),
            alerts=("LowGPUUtilization",),
            width=16,
            height=9,
            decimals=0,
        ),
        Panel(
            shape="bargauge",
            title="Which held GPUs are used least?",
            description="The twenty with the lowest utilisation among those that a pod holds.",
            unit="percentunit",
            queries=(Query(f"bottomk(20, {_UTILISATION}{_HELD})", _HOLDER, instant=True),),
            waits_for=f"{NO_GPU} that know the pods",
            base=ORANGE,
            thresholds=(Threshold(0.3, GREEN, "used well", "30 %"),),
            alerts=("LowGPUUtilization", "GPUAttributionShadowed"),
            height=9,
            decimals=0,
            maximum=1,
        ),
        Panel(
            shape="table",
            title="Which pod holds which GPU?",
            description="Every GPU and MIG instance with its holder and its utilisation now.",
            unit="percentunit",
            queries=(
                Query(
                    f"max by (host, gpu, GPU_I_ID, namespace, pod) ({_UTILISATION}{_CHOSEN})",
                    "Utilisation",
                    instant=True,
                    table=True,
                ),
            ),
            waits_for=NO_GPU,
            base=ORANGE,
            thresholds=(Threshold(0.3, GREEN, "used well", "30 %"),),
            alerts=("LowGPUUtilization",),
            width=12,
            decimals=0,
        ),
        Panel(
            shape="timeseries",
            title="Do the models use the GPUs they hold?",
            description="Mean utilisation of the GPUs of the pods that serve each chosen model version.",
            unit="percentunit",
            queries=(
                Query(
                    f"avg by ({ONE_VERSION}) (group by (namespace, pod, model_name, model_version)"
                    f' ({REQUESTS}{{{VERSION},pod!=""}}) * on (namespace, pod) group_left ()'
                    f" avg by (namespace, pod) ({_UTILISATION}{_HELD}))",
                    "{{model_name}} {{model_version}} {{namespace}}",
                ),
            ),
            waits_for=f"{NO_GPU} and services that know their pod",
            base=ORANGE,
            thresholds=(Threshold(0.3, GREEN, "enough; below it, with late answers, look at the batches", "30 %"),),
            alerts=("InferenceBatchingMisconfigured", "InferenceHostBound"),
            opens="model",
            width=12,
            maximum=1,
        ),
        Panel(
            shape="timeseries",
            title="How much energy do 1,000 predictions take?",
            description="Energy of the GPUs that a model version can use, shared by all predictions made on them.",
            unit="joule",
            queries=(
                Query(
                    f"model_version:gpu_energy_joules_per_1000_predictions:rate5m{{{VERSION}}}",
                    "{{model_name}} {{model_version}} {{namespace}}",
                ),
            ),
            waits_for=f"{NO_GPU} and services that call observe_gpus()",
            no_limit="each model has its own; a step without a release is a batch that got smaller",
            opens="model",
            width=24,
            height=6,
        ),
    ),
)

MEMORY_ROW = Row(
    "Where does the memory go?",
    (
        Panel(
            shape="timeseries",
            title="How much GPU memory is used on each node?",
            description="Framebuffer memory in use, and in use plus free, summed over the node's GPUs.",
            unit="bytes",
            queries=(
                Query(f"sum by (host) ({_USED}{_ON_HOST})", "{{host}} used"),
                Query(f"sum by (host) ({_USED}{_ON_HOST} + {_FREE}{_ON_HOST})", "{{host}} used + free"),
            ),
            waits_for=NO_GPU,
            no_limit="servers that reserve memory when they start are full by design",
            width=12,
        ),
        Panel(
            shape="bargauge",
            title="Which GPUs are fullest?",
            description="Share of the framebuffer memory in use, the twenty fullest.",
            unit="percentunit",
            queries=(
                Query(f"topk(20, {_USED}{_ON_HOST} / ({_USED}{_ON_HOST} + {_FREE}{_ON_HOST} > 0))", _GPU, instant=True),
            ),
            waits_for=NO_GPU,
            thresholds=(
                Threshold(0.9, YELLOW, "a larger model or batch may not fit", "90 %"),
                Threshold(0.98, RED, "the next allocation may fail", "98 %"),
            ),
            width=12,
            decimals=0,
            maximum=1,
        ),
    ),
)

WELL_ROW = Row(
    "Are the GPUs well?",
    (
        Panel(
            shape="timeseries",
            title="How hot are they?",
            description="Temperature of each GPU.",
            unit="celsius",
            queries=(Query(_per_gpu("DCGM_FI_DEV_GPU_TEMP", "DCGM_FI_DEV_GPU_TEMP_CELSIUS"), _GPU),),
            waits_for=NO_GPU,
            thresholds=(Threshold(85, RED, "GPUHot fires where the GPU does not tell its own limit", "85 °C"),),
            alerts=("GPUHot",),
            minimum=None,
        ),
        Panel(
            shape="timeseries",
            title="How much power do they draw?",
            description="Power of each GPU.",
            unit="watt",
            queries=(Query(_per_gpu("DCGM_FI_DEV_POWER_USAGE", "DCGM_FI_DEV_BOARD_POWER_WATTS"), _GPU),),
            waits_for=NO_GPU,
            no_limit="each model of GPU has its own",
        ),
        Panel(
            shape="timeseries",
            title="How busy is the memory of each GPU?",
            description="Share of time in which GPU memory was read or written.",
            unit="percentunit",
            queries=(
                Query(
                    f"({_per_gpu('DCGM_FI_DEV_MEM_COPY_UTIL')}) / 100",
                    _GPU,
                ),
                Query(_per_gpu("DCGM_FI_DEV_MEMORY_UTIL_RATIO"), _GPU),
            ),
            waits_for=NO_GPU,
            no_limit="high is good if the work is bound by memory, as generation is",
            maximum=1,
        ),
        Panel(
            shape="table",
            title="Which GPUs have reported an error?",
            description="The code (XID) of the last error of each GPU that had one since its driver was loaded.",
            unit="short",
            queries=(
                Query(
                    f"({_per_gpu('DCGM_FI_DEV_XID_ERRORS', 'DCGM_FI_DEV_XID_ERROR')}) > 0",
                    "Last XID",
                    instant=True,
                    table=True,
                ),
            ),
            waits_for="Waits for nothing: no GPU has reported an error",
            base=GREY,
            no_limit="48, 62, 64, 74, 79, 95, 119 and 120 mean a sick GPU, 13, 31 and 43 a bug in a program",
            alerts=("GPUXidCritical", "GPUMemoryErrors", "GPULost"),
            width=24,
            height=6,
            decimals=0,
        ),
    ),
)

GPU_PAGE = Dashboard(
    uid="infermeter-gpu-fleet",
    title="GPU fleet",
    description="Every GPU: who holds it, whether it works, and whether it is well.",
    rows=(FLEET_ROW, WORK_ROW, MEMORY_ROW, WELL_ROW),
    variables=(
        *VARIABLES,
        Variable(
            "host",
            "Node",
            "The machine that the GPU is in.",
            f"label_values({_UTILISATION}, host)",
        ),
    ),
)
