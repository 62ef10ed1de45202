"""The study again, from its second step."""

import cmbagent

cmbagent.deep_research("Compute the spectrum", work_dir="study", restart_at_step=2)
