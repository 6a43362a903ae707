"""Jobs become pages: one file per panel."""
