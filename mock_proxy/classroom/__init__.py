"""Who in the class is stuck: the record of requests, and the instructor's page."""
