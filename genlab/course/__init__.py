"""The school: what builds, checks and hands out the course. The lab never imports it."""
