"""A study of two steps."""

import cmbagent

cmbagent.deep_research("Compute the spectrum", work_dir="study")
