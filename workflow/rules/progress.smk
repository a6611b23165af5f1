# Tells the logger of `make report` all jobs that this run will do. Snakemake itself tells it of a job when that begins.


onstart:
    planned = {job.jobid: (job.rule.name, job.wildcards_dict) for job in workflow.dag.needrun_jobs()}
    logger.info("", extra={"event": "planned", "jobs": planned})
