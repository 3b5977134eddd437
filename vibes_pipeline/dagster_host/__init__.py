"""All that touches Dagster's private parts: its home, its servers, running a job in this process.

Assets, checks, schedules and sensors are in `defs`; here is what starts, serves and watches them.
"""
