"""When each move starts: schedules under limits and shared links, and bounds on how long it takes at least."""
