"""All that uses Dagster's internals: its home, its servers, running a job in this process.

Assets, checks, schedules and sensors are in `defs`; here is what starts, serves and watches them.
"""
