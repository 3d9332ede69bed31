"""The paper's tables and figures, planned as jobs, run, and put beside its printed numbers. A cell is made in
`occfer.tables` and a job runs in `occfer.jobs`: what belongs here is who is trained and tested on what, and why.
"""
