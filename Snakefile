# Which architecture compares two digits best, and what do weight sharing and auxiliary losses buy?
#
# mnist → pairs → train → evaluate → aggregate → figures → report → archive; a rule a step, in workflow/rules/.

from snakemake.utils import min_version

min_version("9.0")


include: "workflow/rules/precheck.smk"


configfile: "config/config.yaml"


report: "workflow/report/workflow.rst"


include: "workflow/rules/common.smk"
include: "workflow/rules/sweeps_common.smk"
include: "workflow/rules/scratch_common.smk"
include: "workflow/rules/data.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/evaluate.smk"
include: "workflow/rules/aggregate.smk"
include: "workflow/rules/figures.smk"
include: "workflow/rules/sweeps.smk"


if scratch:

    include: "workflow/rules/scratch.smk"
    include: "workflow/rules/scratch_results.smk"


include: "workflow/rules/report.smk"


rule all:
    input:
        f"{RESULTS}/report.md",
        f"{RESULTS}/twinbench-{plan.config.scale}.zip",
