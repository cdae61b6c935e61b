"""Where images come from: each module lists jobs (`list_jobs(settings) -> Listing`) and reads no image."""
