# The workflow is workflow/Snakefile; this file lets `snakemake` find it here, and names the default target.


include: "workflow/Snakefile"


rule default:
    default_target: True
    input:
        rules.all.input,
