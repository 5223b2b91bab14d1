"""Grade a class: student code runs in a sandbox, the checks run in the grader's own process."""
