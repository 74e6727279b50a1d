"""What happens to a job, stage by stage."""
